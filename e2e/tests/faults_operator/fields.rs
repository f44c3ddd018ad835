//! Every field of every resource.

use agentapi_e2e::bare_cluster::BareCluster;
use agentapi_e2e::operator_proofs::fields::Fields;
use agentapi_e2e::results::Proof;
use anyhow::{Result, ensure};
use serde_json::json;

async fn prove(name: &'static str, kind: &'static str) -> Result<()> {
    let mut proof = Proof::begin(name);
    let cluster = BareCluster::claim().await?;
    let fields = Fields::of(&cluster, kind).await?;
    let outcome = fields.prove(&cluster).await?;
    ensure!(
        outcome.failures.is_empty(),
        "{} of {} fields:\n{}",
        outcome.failures.len(),
        fields.count(),
        outcome.failures.join("\n")
    );
    proof.figure("fields", fields.count());
    proof.figure("immutable", json!(outcome.immutable));
    proof.figure("refused by the operator, alone", json!(outcome.stalled));
    proof.held()
}

#[tokio::test]
async fn every_field_of_an_organization_acts_as_if_it_had_always_been_so() -> Result<()> {
    prove("fields-of-organization", "Organization").await
}

#[tokio::test]
async fn every_field_of_an_mcp_server_acts_as_if_it_had_always_been_so() -> Result<()> {
    prove("fields-of-mcpserver", "McpServer").await
}

#[tokio::test]
async fn every_field_of_a_prompt_policy_acts_as_if_it_had_always_been_so() -> Result<()> {
    prove("fields-of-promptpolicy", "PromptPolicy").await
}
