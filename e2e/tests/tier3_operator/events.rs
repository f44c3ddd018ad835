//! Kubernetes Events: told when something changes, and only then.

use agentapi_e2e::eventually::eventually;
use agentapi_e2e::organization::Organization;
use anyhow::{Result, ensure};
use serde_json::Value;

const INVALID: &str = "{template: '{{ unknown }}'}";
const VALID: &str = "{template: hi}";

/// Reasons of the operator's events in a namespace.
async fn reasons(organization: &Organization, place: &str) -> Result<Vec<String>> {
    let list = organization
        .cluster
        .get(&["events.events.k8s.io", "-n", place])
        .await?;
    let events = list["items"].as_array().cloned().unwrap_or_default();
    let names = [organization.name.as_str(), "greeting"];
    let is_ours = |event: &Value| {
        event["reportingController"] == "agentapi-operator"
            && names.iter().any(|name| event["regarding"]["name"] == *name)
    };
    let ours = events.iter().filter(|event| is_ours(event));
    Ok(ours
        .filter_map(|event| event["reason"].as_str().map(str::to_owned))
        .collect())
}

#[tokio::test]
async fn a_stall_and_its_end_are_told_once_each_where_the_resource_is() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization
        .apply_inside("PromptPolicy", "greeting", INVALID)
        .await?;
    let policy = ["promptpolicy", "greeting", "-n", &organization.namespace];
    organization
        .wait_for_reason(&policy, "Stalled", "InvalidSpec")
        .await?;
    organization
        .apply_inside("PromptPolicy", "greeting", VALID)
        .await?;
    organization
        .wait_for_reason(&policy, "Ready", "Reconciled")
        .await?;
    eventually("both changes are told", async || {
        let mut told = reasons(&organization, &organization.namespace).await?;
        told.sort();
        ensure!(told == ["InvalidSpec", "Recovered"], "told: {told:?}");
        Ok(())
    })
    .await?;
    organization.clean_up().await
}

#[tokio::test]
async fn suspension_is_told_about_an_organization() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization.apply("{suspended: true}").await?;
    eventually("the suspension is told", async || {
        let told = reasons(&organization, "default").await?;
        ensure!(told == ["Suspended"], "told: {told:?}");
        Ok(())
    })
    .await?;
    organization.clean_up().await
}
