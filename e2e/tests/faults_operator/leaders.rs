//! A leader that wakes up too late, with many organizations pending.

use std::time::Duration;

use agentapi_e2e::bare_cluster::BareCluster;
use agentapi_e2e::operator_proofs::leaders::takeover;
use agentapi_e2e::results::Proof;
use anyhow::{Result, ensure};

/// Organizations pending when the leader stands still.
const PENDING: usize = 200;
/// Longest takeover.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_leader_that_wakes_up_too_late_writes_nothing() -> Result<()> {
    let mut proof = Proof::begin("two-leaders");
    let cluster = BareCluster::claim().await?;
    let takeover = takeover(&cluster, PENDING).await?;
    ensure!(takeover.took <= LIMIT, "it took {:?}", takeover.took);
    ensure!(
        takeover.late.is_empty(),
        "late writes: {:#?}",
        takeover.late
    );
    ensure!(takeover.old_ended, "the old leader still runs");
    proof.figure("organizations", PENDING);
    proof.figure("ready at the standstill", takeover.ready_before);
    proof.figure("takeover, s", takeover.took.as_secs_f64());
    proof.figure("writes of the old leader", takeover.writes.0);
    proof.figure("writes of the new leader", takeover.writes.1);
    proof.held()
}
