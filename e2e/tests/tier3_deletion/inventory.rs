//! What an organization has on the cluster, of every kind that there is.

use agentapi_e2e::cluster::Cluster;
use anyhow::{Context, Result};
use serde_json::Value;

/// Kinds that come and go by themselves.
const RESTLESS: [&str; 2] = ["events", "leases"];

/// Title and version of every object that carries the organization's label.
pub(super) async fn objects_of(cluster: &Cluster, organization: &str) -> Result<Vec<String>> {
    let selector = format!("agentapi.dev/organization={organization}");
    let kinds = kinds(cluster).await?;
    let list = cluster
        .get(&[&kinds, "--all-namespaces", "--selector", &selector])
        .await?;
    let items = list["items"]
        .as_array()
        .context("kubectl printed no list")?;
    let mut objects: Vec<_> = items.iter().map(title).collect();
    objects.sort();
    Ok(objects)
}

fn title(object: &Value) -> String {
    let metadata = &object["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{} {}/{} at {}",
        text(&object["kind"]),
        text(&metadata["namespace"]),
        text(&metadata["name"]),
        text(&metadata["resourceVersion"]),
    )
}

/// Every kind that can be listed, as kubectl takes them.
async fn kinds(cluster: &Cluster) -> Result<String> {
    let printed = cluster
        .kubectl(&["api-resources", "--verbs=list", "-o", "name"], "")
        .await?;
    let kinds: Vec<&str> = printed
        .lines()
        .filter(|kind| !RESTLESS.contains(&kind.split('.').next().unwrap_or_default()))
        .collect();
    Ok(kinds.join(","))
}
