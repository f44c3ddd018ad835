//! What is measured with: organizations with two servers and one prompt policy each.

use agentapi_crds::{McpServer, Organization, PromptPolicy};
use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Resources of one organization.
pub(super) struct Tenant {
    pub(super) organization: Organization,
    pub(super) namespace: String,
    pub(super) servers: Vec<McpServer>,
    pub(super) prompt: PromptPolicy,
}

/// Resources that the operator reads, of each organization.
pub(super) const INPUTS: usize = 4;

/// Names of each organization's servers.
pub(super) const SERVERS: [&str; 2] = ["one", "two"];
/// Name of each organization's prompt policy.
pub(super) const PROMPT: &str = "house";

/// Name of an organization.
pub(super) fn name(number: usize) -> String {
    format!("bench-{number:05}")
}

/// Namespace of an organization.
pub(super) fn namespace(number: usize) -> String {
    agentapi_crds::names::default_namespace(&name(number))
}

/// The resources of one organization.
pub(super) fn tenant(number: usize) -> Result<Tenant> {
    let namespace = namespace(number);
    Ok(Tenant {
        organization: parsed(json!({
            "apiVersion": "agentapi.dev/v1alpha1",
            "kind": "Organization",
            "metadata": {"name": name(number)},
            "spec": {
                "displayName": format!("Organization {number}"),
                "admins": [{"kind": "Group", "name": format!("{}-admins", name(number))}],
                "quota": {"requests.cpu": "4", "requests.memory": "8Gi", "count/pods": "20"},
                "network": {"egress": [{"cidr": "203.0.113.0/24", "ports": [443]}]},
                "deletionPolicy": "Delete",
            },
        }))?,
        servers: SERVERS
            .into_iter()
            .map(|server| self::server(&namespace, server))
            .collect::<Result<_>>()?,
        prompt: parsed(json!({
            "apiVersion": "agentapi.dev/v1alpha1",
            "kind": "PromptPolicy",
            "metadata": {"name": PROMPT, "namespace": namespace},
            "spec": {"template": "You work for {{ organization }}."},
        }))?,
        namespace,
    })
}

/// A remote server: it is ready without a node.
pub(super) fn server(namespace: &str, name: &str) -> Result<McpServer> {
    parsed(json!({
        "apiVersion": "agentapi.dev/v1alpha1",
        "kind": "McpServer",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"remote": {"url": format!("https://{name}.example.com/mcp")}},
    }))
}

fn parsed<T: DeserializeOwned>(manifest: Value) -> Result<T> {
    serde_json::from_value(manifest).context("a manifest of the bench")
}
