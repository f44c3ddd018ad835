//! Every owned object deleted, every owned field changed.

use agentapi_e2e::bare_cluster::BareCluster;
use agentapi_e2e::operator_proofs::drift::Interference;
use agentapi_e2e::results::Proof;
use anyhow::Result;
use serde_json::json;

#[tokio::test]
async fn whatever_others_change_is_set_back() -> Result<()> {
    let mut proof = Proof::begin("drift");
    let cluster = BareCluster::claim().await?;
    let _operator = cluster.operator(&cluster.server()).await?;
    let mut interference = Interference::begin(&cluster).await?;
    interference.change_fields(|_| true).await?;
    interference.delete_objects(|_| true).await?;
    let drifts = interference.end();
    drifts.check()?;
    proof.figure("objects deleted", drifts.objects);
    proof.figure("fields changed", drifts.fields);
    proof.figure("longest repair, s", drifts.longest.as_secs_f64());
    proof.figure("fields that the API server holds", json!(drifts.held));
    proof.held()
}
