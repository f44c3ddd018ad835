//! The reconciliation of an `McpServer`, step by step.

use std::sync::Arc;
use std::time::Duration;

use agentapi_crds::conditions::{find, types};
use agentapi_crds::{McpServer, McpServerStatus, Organization, names};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use kube_runtime::controller::Action;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::plan::plan;
use super::status::{Applied, Replicas, Running, status};
use super::validate::validate;
use super::validated::{Surroundings, ValidatedServer};
use super::waiting::waiting_for;
use crate::apply::{Own, WriteError};
use crate::context::Context;
use crate::desired::no_organization;
use crate::gateway_api::{Outcome, Wanted};
use crate::object::{Kind, Owner, ServerOwner};
use crate::organization::{self, DEFAULT_DENY, conflicts, owner_of, without_organization};
use crate::pause::{is_paused, pause};
use crate::problem::Member;

/// Pause before another look at what nothing tells of.
const FOREIGN_PAUSE: Duration = Duration::from_secs(30);
/// Shortest and longest pause before another look at pods that are not available.
const LOOKS: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(600)];
/// Pause before another look at a namespace that is not closed yet.
const NAMESPACE_PAUSE: Duration = Duration::from_secs(1);

/// Brings the cluster to what a server's spec says. The server's entry in the
/// organization's document is the Organization's business.
///
/// # Errors
/// When the API server refuses or fails a request; it is tried again.
pub async fn reconcile(
    server: Arc<McpServer>,
    context: Arc<Context>,
) -> Result<Action, WriteError> {
    let namespace = server.namespace().unwrap_or_default();
    let organization = context.organization_of(&namespace);
    if server.is_deleting() {
        return finalize(&server, organization.as_deref(), &context).await;
    }
    // Whoever may write the server may pause it, and must not hold up a deletion by that.
    if is_paused(server.as_ref()) {
        return pause(server.as_ref(), &context).await;
    }
    // 1. observe, 2. validate
    let Some(organization) = organization.filter(|organization| !organization.is_deleting()) else {
        let stray = Member::Invalid(vec![no_organization(&namespace)]);
        return finish(&server, &stray, Ok(Running::Nothing), None, &context).await;
    };
    let member = judge(&server, &organization, &context).await?;
    let has_workload = member.valid().is_some_and(|valid| valid.workload.is_some());
    if !is_prepared(&organization, &namespace, has_workload, &context) {
        let waiting = Applied::Err(WriteError::NamespaceNotReady { namespace });
        return finish(&server, &member, waiting, None, &context).await;
    }
    // 3. plan, 4. apply
    let applied = apply(&server, &member, &organization, &context).await;
    // 5. status
    let tools = tools(&server, &member, &applied, &organization, &context);
    finish(&server, &member, applied, tools, &context).await
}

/// Whether the namespace is the organization's, and where something is to run
/// in it, denies what is not allowed.
fn is_prepared(
    organization: &Organization,
    namespace: &str,
    has_workload: bool,
    context: &Context,
) -> bool {
    let uid = owner_of(organization).uid;
    let is_ours = |kind, place, name| {
        let found = context.owned.find(kind, place, name);
        found.is_some_and(|found| found.labels().get(names::ORGANIZATION_UID_LABEL) == Some(&uid))
    };
    is_ours(Kind::Namespace, None, namespace)
        && (!has_workload || is_ours(Kind::NetworkPolicy, Some(namespace), DEFAULT_DENY))
}

async fn judge(
    server: &McpServer,
    organization: &Organization,
    context: &Context,
) -> Result<Member<ValidatedServer>, WriteError> {
    let rivals = context.rivals_of(organization);
    let rivals: Vec<_> = rivals.iter().map(Arc::as_ref).collect();
    let valid = match organization::validate(organization, &context.settings) {
        Ok(valid) if conflicts(organization, &rivals).is_empty() => valid,
        _ => return Ok(without_organization(server, organization)),
    };
    let siblings = context.caches.servers.in_namespace(&valid.namespace);
    let siblings: Vec<_> = siblings.iter().map(Arc::as_ref).collect();
    let secrets = context.secrets.of(&valid.namespace, [server]).await?;
    Ok(validate(
        server,
        &Surroundings {
            organization: &valid,
            siblings: &siblings,
            secrets: &secrets,
            settings: &context.settings,
        },
    ))
}

/// Makes the workload of a valid server. One that is not valid keeps its
/// workload, as its entry in the document may be kept; a disabled one likewise.
async fn apply(
    server: &McpServer,
    member: &Member<ValidatedServer>,
    organization: &Organization,
    context: &Context,
) -> Applied {
    let Member::Valid(valid) = member else {
        return Ok(Running::Nothing);
    };
    let owner = owner_of(organization);
    let namespace = server.namespace().unwrap_or_default();
    let objects = plan(&owner, &namespace, valid);
    if !objects.is_empty() {
        context.writer.ensure_finalizer(server).await?;
    }
    for object in &objects {
        context.writer.apply(object, None).await?;
    }
    let server_owner = server_owner(&owner, server);
    context
        .writer
        .prune(&server_owner, &Kind::WORKLOAD, &namespace, &objects)
        .await?;
    match &valid.workload {
        _ if organization.spec.suspended => Ok(Running::Suspended),
        Some(workload) => {
            let name = server.name_any();
            replicas(workload.replicas, &server_owner, &namespace, &name, context)
                .await
                .map(Running::Replicas)
        }
        None => Ok(Running::Nothing),
    }
}

async fn replicas(
    wanted: u32,
    owner: &Owner,
    namespace: &str,
    name: &str,
    context: &Context,
) -> Result<Replicas, WriteError> {
    let deployment = context
        .writer
        .get_owned(Kind::Deployment, Some(namespace), name, owner)
        .await?
        .map(|deployment| deployment.data);
    let available = deployment
        .as_ref()
        .and_then(|deployment| deployment.pointer("/status/availableReplicas"))
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let waiting_for = if available < u64::from(wanted) {
        let pods = pods(owner, namespace, context).await?;
        Some(waiting_for(deployment.as_ref(), &pods))
    } else {
        None
    };
    Ok(Replicas {
        wanted,
        available,
        waiting_for,
    })
}

async fn pods(owner: &Owner, namespace: &str, context: &Context) -> Result<Vec<Pod>, WriteError> {
    let labels = owner.labels();
    let labels: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    // From the API server's cache: what is a moment old will be looked at again.
    let parameters = ListParams::default().labels(&labels.join(",")).match_any();
    let api: Api<Pod> = Api::namespaced(context.writer.client().clone(), namespace);
    let listed = api.list(&parameters).await;
    let listed =
        listed.map_err(|source| WriteError::read(format!("pods of {namespace}"), source))?;
    Ok(listed.items)
}

/// What the server was found to offer. It is asked for once its entry is served
/// and, where it is run in the cluster, runs.
fn tools(
    server: &McpServer,
    member: &Member<ValidatedServer>,
    applied: &Applied,
    organization: &Organization,
    context: &Context,
) -> Option<Outcome> {
    let valid = member.valid()?;
    let is_served = match applied.as_ref().ok()? {
        Running::Nothing => true,
        // The gateway asks no server of a suspended organization.
        Running::Suspended => false,
        Running::Replicas(replicas) => replicas.available > 0,
    };
    if !is_served {
        return None;
    }
    let config = serde_json::to_vec(&valid.config).ok()?;
    let generation = server.metadata.generation;
    let fingerprint = hex::encode(Sha256::digest(&config));
    context.gateways.tools(Wanted {
        namespace: server.namespace().unwrap_or_default(),
        name: server.name_any(),
        organization: organization.name_any(),
        fingerprint: format!("{:?} {fingerprint}", server.uid()),
        is_told: generation.is_some() && discovered_generation(server) == generation,
    })
}

/// The generation that the status tells the tools of.
fn discovered_generation(server: &McpServer) -> Option<i64> {
    let status = server.status.as_ref()?;
    find(&status.conditions, types::TOOLS_DISCOVERED)?.observed_generation
}

async fn finish(
    server: &McpServer,
    member: &Member<ValidatedServer>,
    applied: Applied,
    tools: Option<Outcome>,
    context: &Context,
) -> Result<Action, WriteError> {
    let status = status(server, member, &applied, tools.as_ref(), Timestamp::now());
    context.writer.write_status(server, &status).await?;
    match applied {
        Ok(Running::Replicas(Replicas {
            waiting_for: Some(_),
            ..
        })) => Ok(Action::requeue(next_look(&status))),
        Ok(_) => Ok(Action::await_change()),
        Err(error) if error.is_stalled() => Ok(Action::requeue(FOREIGN_PAUSE)),
        Err(WriteError::NamespaceNotReady { .. }) => Ok(Action::requeue(NAMESPACE_PAUSE)),
        Err(error) => Err(error),
    }
}

/// The Deployment tells when its pods become available, but not what they wait
/// for meanwhile: that is looked at, the more rarely the longer it takes.
fn next_look(status: &McpServerStatus) -> Duration {
    let since = find(&status.conditions, types::READY).map(|ready| ready.last_transition_time.0);
    let waited = since.map(|since| Timestamp::now().duration_since(since));
    let waited = waited.and_then(|waited| Duration::try_from(waited).ok());
    let [shortest, longest] = LOOKS;
    waited.unwrap_or_default().clamp(shortest, longest)
}

/// Takes the workload away, then lets the resource go. Without an organization
/// there is nothing that it could have made here.
async fn finalize(
    server: &McpServer,
    organization: Option<&Organization>,
    context: &Context,
) -> Result<Action, WriteError> {
    if let Some(organization) = organization {
        let owner = server_owner(&owner_of(organization), server);
        let namespace = server.namespace().unwrap_or_default();
        context
            .writer
            .prune(&owner, &Kind::WORKLOAD, &namespace, &[])
            .await?;
    }
    context.writer.remove_finalizer(server).await?;
    Ok(Action::await_change())
}

fn server_owner(organization: &Owner, server: &McpServer) -> Owner {
    Owner {
        server: Some(ServerOwner {
            name: server.name_any(),
            uid: server.uid(),
        }),
        ..organization.clone()
    }
}
