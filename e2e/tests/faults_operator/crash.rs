//! Killed at every write.

use agentapi_e2e::bare_cluster::BareCluster;
use agentapi_e2e::operator_proofs::crash::{Clean, Place};
use agentapi_e2e::results::Proof;
use anyhow::{Result, ensure};

#[tokio::test]
async fn a_crash_at_any_write_changes_nothing_in_the_end() -> Result<()> {
    let mut proof = Proof::begin("crash-at-every-write");
    let cluster = BareCluster::claim().await?;
    let clean = Clean::run(&cluster).await?;
    let mut crashes = 0;
    for place in Place::ALL {
        let mut n = 1;
        while clean.with_crash(&cluster, n, place).await? {
            println!("killed at write {n}, {place:?}: equal in the end");
            crashes += 1;
            n += 1;
        }
        // The number of writes differs a little from run to run, since what
        // comes close together is looked at once.
        ensure!(
            n > clean.writes * 3 / 4,
            "only {n} of {} writes were reached, {place:?}",
            clean.writes
        );
    }
    proof.figure("writes of the clean run", clean.writes);
    proof.figure("crashes", crashes);
    proof.held()
}

#[tokio::test]
async fn operators_that_live_for_one_write_each_get_there_in_the_end() -> Result<()> {
    let mut proof = Proof::begin("crash-after-each-write");
    let cluster = BareCluster::claim().await?;
    let clean = Clean::run(&cluster).await?;
    let lives = clean.one_write_at_a_time(&cluster).await?;
    proof.figure("writes of the clean run", clean.writes);
    proof.figure("operators", lives);
    proof.held()
}
