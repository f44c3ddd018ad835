//! Values for every field, and the steps for those of one kind.

use agentapi_e2e::bare_cluster::BareCluster;
use agentapi_e2e::operator_proofs::fields::Fields;
use anyhow::{Result, ensure};

#[tokio::test]
async fn every_field_of_every_resource_has_two_values_that_the_api_server_takes() -> Result<()> {
    let cluster = BareCluster::claim().await?;
    for kind in ["Organization", "McpServer", "PromptPolicy"] {
        ensure!(
            Fields::of(&cluster, kind).await?.count() > 10,
            "{kind} has hardly a field"
        );
    }
    Ok(())
}

#[tokio::test]
async fn every_field_of_a_prompt_policy_acts_as_if_it_had_always_been_so() -> Result<()> {
    let cluster = BareCluster::claim().await?;
    let outcome = Fields::of(&cluster, "PromptPolicy")
        .await?
        .prove(&cluster)
        .await?;
    ensure!(
        outcome.failures.is_empty(),
        "{}",
        outcome.failures.join("\n")
    );
    Ok(())
}
