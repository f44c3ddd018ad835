//! Every tenth call fails.

use agentapi_e2e::bare_cluster::BareCluster;
use agentapi_e2e::operator_proofs::faulty::Healthy;
use anyhow::{Result, ensure};

#[tokio::test]
async fn an_organization_gets_there_while_every_tenth_call_fails() -> Result<()> {
    let cluster = BareCluster::claim().await?;
    let healthy = Healthy::run(&cluster).await?;
    let faults = healthy.with_faults(&cluster, 1).await?;
    ensure!(faults.failed > 0, "no call failed: nothing is proven");
    Ok(())
}
