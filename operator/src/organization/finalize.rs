//! Deletion of an `Organization`: first nothing is served any more and the
//! gateway has let it go, then nothing runs any more, then the namespace goes where the policy says so.

use std::time::Duration;

use agentapi_crds::conditions::reasons;
use agentapi_crds::organization::DeletionPolicy;
use agentapi_crds::{Organization, names};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::core::DynamicObject;
use kube_runtime::controller::Action;
use serde_json::Value;

use super::names::{namespace_of, owner_of};
use super::plan::GATEWAY_SECRETS;
use super::status::deleting;
use crate::apply::{Own, WriteError};
use crate::context::Context;
use crate::gateway_api::{Retirement, jittered};
use crate::object::Kind;

/// Pause before another look at a namespace that is going.
const NAMESPACE_PAUSE: Duration = Duration::from_secs(2);
/// Pauses before the gateway is asked again.
const FIRST_GATEWAY_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_GATEWAY_PAUSE: Duration = Duration::from_secs(30);

pub(super) async fn finalize(
    organization: &Organization,
    context: &Context,
) -> Result<Action, WriteError> {
    if !organization.has_finalizer() {
        return Ok(Action::await_change());
    }
    let owner = owner_of(organization);
    let namespace = namespace_of(organization);
    // 1. The gateway stops serving.
    context
        .writer
        .prune(&owner, &[Kind::ConfigMap], names::TENANTS_NAMESPACE, &[])
        .await?;
    // 2. Every replica of the gateway has let it go, while it may still read the Secrets for that.
    let waits = waits_for_gateway(organization, context).await;
    if !waits.is_empty() {
        let reason = reasons::GATEWAY_NOT_ACKNOWLEDGED;
        let status = deleting(organization, reason, &waits, Timestamp::now());
        context.writer.write_status(organization, &status).await?;
        return Ok(Action::requeue(gateway_pause(organization)));
    }
    // 3. Nothing runs, and the gateway reads no Secret. What closes the namespace stays.
    context
        .writer
        .prune(&owner, &Kind::WORKLOAD, &namespace, &[])
        .await?;
    for kind in [Kind::RoleBinding, Kind::Role] {
        let found = context.owned.find(kind, Some(&namespace), GATEWAY_SECRETS);
        if let Some(found) = found
            .filter(|found| found.labels().get(names::ORGANIZATION_UID_LABEL) == Some(&owner.uid))
        {
            context
                .writer
                .delete(kind, Some(&namespace), GATEWAY_SECRETS, found.uid())
                .await?;
        }
    }
    // 4. The namespace, with everything in it.
    if organization.spec.deletion_policy == DeletionPolicy::Delete {
        let live = context
            .writer
            .get_owned(Kind::Namespace, None, &namespace, &owner)
            .await?;
        if let Some(live) = live {
            if live.metadata.deletion_timestamp.is_none() {
                context
                    .writer
                    .delete(Kind::Namespace, None, &namespace, live.uid())
                    .await?;
            }
            let waits = what_blocks(&live);
            let status = deleting(organization, reasons::DELETING, &waits, Timestamp::now());
            context.writer.write_status(organization, &status).await?;
            return Ok(Action::requeue(NAMESPACE_PAUSE));
        }
    }
    // 5. Nothing is left to clean up.
    context.writer.remove_finalizer(organization).await?;
    context.writer.forget(&owner);
    context.documents.forget(&owner.uid);
    context.gateways.forget(&owner.uid);
    context.secrets.forget(&namespace);
    Ok(Action::await_change())
}

/// What keeps the gateway from being done with the organization; empty when it
/// is, when it never served it, and where the annotation says not to wait.
async fn waits_for_gateway(organization: &Organization, context: &Context) -> String {
    let annotation = organization
        .annotations()
        .get(names::SKIP_GATEWAY_ANNOTATION);
    let status = organization.status.as_ref();
    let was_served = status.is_some_and(|status| status.revision.is_some());
    let tenant = status.and_then(|status| status.tenant_id.as_ref()?.parse().ok());
    let Some(tenant) = tenant.filter(|_| was_served) else {
        return String::new();
    };
    if annotation.is_some_and(|value| value == "true") {
        return String::new();
    }
    let retirement = Retirement {
        organization: organization.name_any(),
        uid: owner_of(organization).uid,
        tenant,
        waited: deleted_for(organization),
    };
    let waits = context.gateways.retire(&retirement).await;
    let waits: Vec<_> = waits.iter().map(ToString::to_string).collect();
    if waits.is_empty() {
        return String::new();
    }
    format!(
        "the gateway has yet to let the organization go: {}. The annotation {}=true goes on without it",
        waits.join("; "),
        names::SKIP_GATEWAY_ANNOTATION,
    )
}

/// Longer the longer it lasts, so that a gateway that is away is not asked all the time.
fn gateway_pause(organization: &Organization) -> Duration {
    let pause = deleted_for(organization) / 4;
    jittered(pause.clamp(FIRST_GATEWAY_PAUSE, LONGEST_GATEWAY_PAUSE))
}

/// How long the deletion lasts.
fn deleted_for(organization: &Organization) -> Duration {
    let since = organization.metadata.deletion_timestamp.as_ref();
    let elapsed = since.map(|since| Timestamp::now().duration_since(since.0));
    elapsed
        .and_then(|elapsed| elapsed.try_into().ok())
        .unwrap_or_default()
}

/// What the namespace controller says it waits for.
fn what_blocks(namespace: &DynamicObject) -> String {
    let name = namespace.name_any();
    let conditions = namespace
        .data
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let waits: Vec<&str> = conditions
        .into_iter()
        .flatten()
        .filter(|condition| condition["status"] == "True")
        .filter_map(|condition| condition["message"].as_str())
        .collect();
    if waits.is_empty() {
        format!("the namespace {name} is being deleted")
    } else {
        format!(
            "the namespace {name} is being deleted: {}",
            waits.join("; ")
        )
    }
}
