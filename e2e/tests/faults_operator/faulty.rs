//! An API server that fails, stands still, forgets and is gone.

use std::time::Duration;

use agentapi_e2e::bare_cluster::BareCluster;
use agentapi_e2e::operator_proofs::faulty::Healthy;
use agentapi_e2e::results::Proof;
use anyhow::{Result, ensure};
use serde_json::json;

/// Organizations at once under faults.
const ORGANIZATIONS: usize = 5;
/// How long the API server is gone.
const OUTAGE: Duration = Duration::from_secs(60);
/// Calls that the whole operator may make in a second of an outage, in its last
/// half, when all pauses have grown: a few of the Lease and of fourteen watches.
const CALLS_A_SECOND: usize = 10;

#[tokio::test]
async fn organizations_get_there_while_every_tenth_call_fails() -> Result<()> {
    let mut proof = Proof::begin("faulty-calls");
    let cluster = BareCluster::claim().await?;
    let healthy = Healthy::run(&cluster).await?;
    let faults = healthy.with_faults(&cluster, ORGANIZATIONS).await?;
    let share = faults.failed * 100 / faults.calls;
    ensure!((5..=15).contains(&share), "{share} % of the calls failed");
    // A lost call costs a few others, never many.
    let bound = 6 * ORGANIZATIONS * healthy.calls;
    ensure!(
        faults.calls <= bound,
        "{} calls are more than {bound}",
        faults.calls
    );
    proof.figure("calls of a healthy organization", healthy.calls);
    proof.figure("organizations", ORGANIZATIONS);
    proof.figure("calls", faults.calls);
    proof.figure("failed calls", faults.failed);
    proof.figure("restarts", faults.restarts);
    proof.held()
}

#[tokio::test]
async fn watches_that_stand_still_are_noticed() -> Result<()> {
    let mut proof = Proof::begin("frozen-watches");
    let cluster = BareCluster::claim().await?;
    let healthy = Healthy::run(&cluster).await?;
    let took = healthy.with_frozen_watches(&cluster).await?;
    proof.figure("noticed after, s", took.as_secs_f64());
    proof.held()
}

#[tokio::test]
async fn watches_that_expired_are_begun_anew() -> Result<()> {
    let mut proof = Proof::begin("expired-watches");
    let cluster = BareCluster::claim().await?;
    let healthy = Healthy::run(&cluster).await?;
    let expired = healthy.with_expired_watches(&cluster).await?;
    proof.figure("watches answered 410", expired);
    proof.held()
}

#[tokio::test]
async fn an_outage_is_waited_out() -> Result<()> {
    let mut proof = Proof::begin("outage");
    let cluster = BareCluster::claim().await?;
    let healthy = Healthy::run(&cluster).await?;
    let calls = healthy.with_outage(&cluster, OUTAGE).await?;
    let half = calls.get(calls.len() / 2..).unwrap_or_default();
    let late: usize = half.iter().sum();
    proof.figure("calls in the outage", calls.iter().sum::<usize>());
    proof.figure("calls by second", json!(calls));
    ensure!(
        late <= CALLS_A_SECOND * half.len(),
        "{late} calls in the last {} seconds: {calls:?}",
        half.len()
    );
    proof.held()
}
