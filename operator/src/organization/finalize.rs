//! Deletion of an `Organization`: first nothing is served any more, then
//! nothing runs any more, then the namespace goes where the policy says so.

use std::time::Duration;

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
use crate::object::Kind;

/// Pause before another look at a namespace that is going.
const NAMESPACE_PAUSE: Duration = Duration::from_secs(2);

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
    // 2. Nothing runs, and the gateway reads no Secret. What closes the namespace stays.
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
    // 3. The namespace, with everything in it.
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
            let status = deleting(organization, &what_blocks(&live), Timestamp::now());
            context.writer.write_status(organization, &status).await?;
            return Ok(Action::requeue(NAMESPACE_PAUSE));
        }
    }
    // 4. Nothing is left to clean up.
    context.writer.remove_finalizer(organization).await?;
    context.writer.forget(&owner);
    context.documents.forget(&owner.uid);
    context.secrets.forget(&namespace);
    Ok(Action::await_change())
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
