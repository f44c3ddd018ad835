//! The plain client: creates the same resources and applies the same objects
//! and statuses, as the same service account, without looking at anything. It
//! ends when whoever watches has seen everything ready, as with the operator.

use std::path::Path;
use std::time::Instant;

use agentapi_crds::names;
use agentapi_operator::{Inputs, Placement, Settings, desired};
use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::clients::{client, create_members, create_organization};
use super::ready::{Ready, namespaces};
use super::scene::{self, Tenant};
use crate::arguments::BaselineOptions;
use crate::report::write_json;
use crate::usage::cpu_seconds;

/// What the plain client needed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Baseline {
    pub(super) organizations: usize,
    pub(super) concurrency: usize,
    /// Seconds until everything was written.
    pub(super) seconds: f64,
    /// CPU time of the API server meanwhile, in seconds.
    pub(super) apiserver_cpu_seconds: f64,
    /// Objects of one organization, its ConfigMap included.
    pub(super) objects: usize,
    /// Statuses of one organization.
    pub(super) statuses: usize,
}

/// Writes everything and notes how long it took.
pub(super) async fn run(options: &BaselineOptions) -> Result<()> {
    let cluster = &options.cluster;
    let engineer = client(&cluster.kubeconfig).await?;
    let operator = client(&cluster.operator_kubeconfig).await?;
    // Watched as the operator's run is, so that the API server has the same to tell.
    let ready = Ready::watch(&engineer);
    let (_namespaces, _names) = namespaces(&engineer);
    let cpu_before = cpu_seconds(cluster.apiserver)?;
    let started = Instant::now();
    let objects: Vec<usize> = futures::stream::iter(0..cluster.organizations)
        .map(|number| write_tenant(number, &engineer, &operator))
        .buffer_unordered(cluster.concurrency)
        .try_collect()
        .await?;
    ready
        .wait_for(cluster.organizations * scene::INPUTS)
        .await?;
    let baseline = Baseline {
        organizations: cluster.organizations,
        concurrency: cluster.concurrency,
        seconds: started.elapsed().as_secs_f64(),
        apiserver_cpu_seconds: cpu_seconds(cluster.apiserver)? - cpu_before,
        objects: objects.first().copied().unwrap_or_default(),
        statuses: scene::INPUTS,
    };
    eprintln!(
        "  plain client: {} organizations in {:.1} s",
        baseline.organizations, baseline.seconds
    );
    write_json(&cluster.output, &baseline)
}

/// What an earlier run of the plain client needed.
pub(super) fn read(path: &Path) -> Result<Baseline> {
    let text = std::fs::read(path)
        .with_context(|| format!("cannot read {}: run the baseline first", path.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

/// Writes one organization and returns how many objects that were.
async fn write_tenant(number: usize, engineer: &Client, operator: &Client) -> Result<usize> {
    let mut tenant = scene::tenant(number)?;
    tenant.organization = create_organization(engineer, &tenant).await?;
    let planned = planned(&tenant);
    // The namespace comes first, and the rest goes into it.
    let (namespaces, rest): (Vec<_>, Vec<_>) = planned
        .iter()
        .partition(|manifest| manifest["kind"] == "Namespace");
    finalizer(operator, &tenant).await?;
    for manifest in namespaces {
        apply(operator, manifest, None).await?;
    }
    create_members(engineer, &tenant).await?;
    for manifest in rest {
        apply(operator, manifest, None).await?;
    }
    for status in statuses(&tenant) {
        apply(operator, &status, Some("status")).await?;
    }
    Ok(planned.len())
}

/// The objects that the operator plans for an organization and its servers.
pub(super) fn planned(tenant: &Tenant) -> Vec<Value> {
    let inputs = Inputs {
        organizations: vec![tenant.organization.clone()],
        servers: tenant.servers.clone(),
        prompts: vec![tenant.prompt.clone()],
        ..Inputs::default()
    };
    desired(&inputs, &Settings::new(Placement::Cluster))
        .objects
        .into_iter()
        .map(|object| object.manifest)
        .collect()
}

/// Statuses of the size that the operator writes.
fn statuses(tenant: &Tenant) -> Vec<Value> {
    let condition = |condition_type: &str, message: &str| {
        json!({
            "type": condition_type, "status": "True", "reason": "Reconciled", "message": message,
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let status = |kind: &str, name: &str, content: Value| {
        let mut manifest = json!({
            "apiVersion": "agentapi.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name}, "status": content,
        });
        if kind != "Organization" {
            manifest["metadata"]["namespace"] = json!(tenant.namespace);
        }
        manifest
    };
    let name = tenant.organization.metadata.name.clone();
    let organization = json!({
        "observedGeneration": 1,
        "conditions": [
            condition("Ready", "namespace and TenantConfig are applied with 2 servers"),
            condition("EgressEnforced", "all declared egress is expressed by NetworkPolicies"),
        ],
        "namespace": tenant.namespace,
        "tenantId": tenant.organization.metadata.uid,
        "servers": 2,
        "revision": "0".repeat(64),
    });
    let member =
        json!({"observedGeneration": 1, "conditions": [condition("Ready", "it is served")]});
    let mut statuses = vec![status(
        "Organization",
        name.as_deref().unwrap_or_default(),
        organization,
    )];
    statuses.extend(tenant.servers.iter().map(|server| {
        let name = server.metadata.name.as_deref().unwrap_or_default();
        status("McpServer", name, member.clone())
    }));
    statuses.push(status("PromptPolicy", scene::PROMPT, member));
    statuses
}

/// Adds the finalizer, which the operator does before anything else.
async fn finalizer(client: &Client, tenant: &Tenant) -> Result<()> {
    let organizations: Api<agentapi_crds::Organization> = Api::all(client.clone());
    let name = tenant
        .organization
        .metadata
        .name
        .as_deref()
        .unwrap_or_default();
    let patch = json!({"metadata": {"finalizers": [names::FINALIZER]}});
    organizations
        .patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    Ok(())
}

/// Applies a manifest, as the operator does.
pub(super) async fn apply(
    client: &Client,
    manifest: &Value,
    subresource: Option<&str>,
) -> Result<()> {
    let text = |pointer: &str| {
        let found = manifest.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default()
    };
    let (group, version) = text("/apiVersion")
        .split_once('/')
        .unwrap_or(("", text("/apiVersion")));
    let kind = GroupVersionKind::gvk(group, version, text("/kind"));
    let plural = plural(text("/kind"));
    let resource = ApiResource::from_gvk_with_plural(&kind, &plural);
    let api: Api<DynamicObject> = match manifest["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = text("/metadata/name");
    let written = match subresource {
        Some(_) => {
            let parameters = PatchParams::apply(names::STATUS_MANAGER).force();
            api.patch_status(name, &parameters, &Patch::Apply(manifest))
                .await
        }
        None => {
            let parameters = PatchParams::apply(names::MANAGER).force();
            api.patch(name, &parameters, &Patch::Apply(manifest)).await
        }
    };
    written.with_context(|| format!("{} {name}", text("/kind")))?;
    Ok(())
}

/// The plural of a kind that is planned.
fn plural(kind: &str) -> String {
    let lower = kind.to_lowercase();
    match lower.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{lower}s"),
    }
}
