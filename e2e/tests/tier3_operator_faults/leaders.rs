//! A leader that wakes up too late.

use std::time::Duration;

use agentapi_e2e::bare_cluster::BareCluster;
use agentapi_e2e::operator_proofs::leaders::takeover;
use anyhow::{Result, ensure};

#[tokio::test]
async fn a_leader_that_wakes_up_too_late_writes_nothing() -> Result<()> {
    let cluster = BareCluster::claim().await?;
    let takeover = takeover(&cluster, 30).await?;
    ensure!(
        takeover.took <= Duration::from_secs(20),
        "it took {:?}",
        takeover.took
    );
    ensure!(
        takeover.late.is_empty(),
        "late writes: {:#?}",
        takeover.late
    );
    ensure!(takeover.old_ended, "the old leader still runs");
    Ok(())
}
