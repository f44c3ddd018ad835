//! How many writes one organization takes when all that it follows from is
//! there at once. Usually members can only come after the namespace; here
//! everything is created paused, the namespace by hand, and then released, the
//! members first.

use agentapi_crds::{McpServer, Organization, PromptPolicy, names};
use anyhow::{Context, Result};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::baseline::{Baseline, apply, planned};
use super::clients::{break_glass, create_members, create_organization};
use super::fresh::FINALIZERS;
use super::process::Operator;
use super::ready::Ready;
use super::scene::{self, Tenant};
use super::writes::Mark;
use crate::arguments::OperatorOptions;
use crate::report::{Bar, Report};

/// Organizations that are created so.
const ORGANIZATIONS: usize = 20;

/// Counts the writes of further organizations, each from all of its inputs.
pub(super) async fn measure(
    options: &OperatorOptions,
    client: &Client,
    ready: &Ready,
    operator: &Operator,
    baseline: &Baseline,
    report: &mut Report,
) -> Result<()> {
    let first = options.cluster.organizations;
    let numbers = first..first + ORGANIZATIONS;
    let by_hand = break_glass(&options.cluster.kubeconfig).await?;
    for number in numbers.clone() {
        create_paused(client, &by_hand, number).await?;
    }
    operator.quiet(0).await?;
    let mark = Mark::now(&options.audit_log)?;
    // Their organizations are still paused: nothing follows for these yet.
    for number in numbers.clone() {
        let namespace = scene::namespace(number);
        let servers: Api<McpServer> = Api::namespaced(client.clone(), &namespace);
        for server in scene::SERVERS {
            release(&servers, server).await?;
        }
        let prompts: Api<PromptPolicy> = Api::namespaced(client.clone(), &namespace);
        release(&prompts, scene::PROMPT).await?;
    }
    let members = scene::INPUTS - 1;
    ready
        .wait_for(first * scene::INPUTS + ORGANIZATIONS * members)
        .await?;
    let organizations = Api::all(client.clone());
    for number in numbers {
        release::<Organization>(&organizations, &scene::name(number)).await?;
    }
    ready
        .wait_for((first + ORGANIZATIONS) * scene::INPUTS)
        .await?;
    operator.quiet(0).await?;
    let written: usize = mark.writes()?.values().sum();
    let planned = baseline.objects + baseline.statuses + FINALIZERS;
    report.add(
        "writes of an organization whose members are there, beyond the planned",
        written as f64 / ORGANIZATIONS as f64 - planned as f64,
        "",
        Bar::AtMost(0.0),
    );
    Ok(())
}

async fn create_paused(client: &Client, by_hand: &Client, number: usize) -> Result<()> {
    let mut tenant = scene::tenant(number)?;
    pause(&mut tenant);
    tenant.organization = create_organization(client, &tenant).await?;
    let planned = planned(&tenant);
    let namespace = planned
        .iter()
        .find(|manifest| manifest["kind"] == "Namespace")
        .context("no Namespace is planned")?;
    apply(by_hand, namespace, None).await?;
    create_members(client, &tenant).await
}

fn pause(tenant: &mut Tenant) {
    let metadata = std::iter::once(&mut tenant.organization.metadata)
        .chain(tenant.servers.iter_mut().map(|server| &mut server.metadata))
        .chain(std::iter::once(&mut tenant.prompt.metadata));
    for metadata in metadata {
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.insert(names::PAUSED_ANNOTATION.to_owned(), "true".to_owned());
    }
}

async fn release<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let patch = json!({"metadata": {"annotations": {names::PAUSED_ANNOTATION: null}}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    Ok(())
}
