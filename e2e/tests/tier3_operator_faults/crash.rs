//! Killed at a few of its writes.

use agentapi_e2e::bare_cluster::BareCluster;
use agentapi_e2e::operator_proofs::crash::{Clean, Place};
use anyhow::{Result, ensure};

#[tokio::test]
async fn a_crash_at_a_write_changes_nothing_in_the_end() -> Result<()> {
    let cluster = BareCluster::claim().await?;
    let clean = Clean::run(&cluster).await?;
    // One in each third: creation, update and deletion.
    let sixth = clean.writes / 6;
    for (n, place) in [
        (sixth, Place::AfterCommit),
        (3 * sixth, Place::BeforeForward),
        (4 * sixth, Place::AfterReply),
    ] {
        let crashed = clean.with_crash(&cluster, n, place).await?;
        ensure!(crashed, "there was no write {n} of {}", clean.writes);
    }
    Ok(())
}
