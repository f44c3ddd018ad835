//! The reconciliation of an `Organization`, step by step.

use std::sync::Arc;
use std::time::Duration;

use agentapi_crds::{Organization, names};
use k8s_openapi::jiff::Timestamp;
use kube_runtime::controller::Action;

use super::assess::{Assessment, assess};
use super::finalize::finalize;
use super::names::{namespace_of, owner_of};
use super::observe::observe;
use super::status::status;
use crate::apply::{Own, WriteError};
use crate::context::Context;
use crate::object::Kind;
use crate::pause::pause;

/// Pause before another look at an object of somebody else, whose deletion nothing tells of.
const FOREIGN_PAUSE: Duration = Duration::from_secs(30);

/// Kinds made for the organization itself, in its namespace.
const OWN_KINDS: [Kind; 6] = [
    Kind::NetworkPolicy,
    Kind::ResourceQuota,
    Kind::LimitRange,
    Kind::ServiceAccount,
    Kind::Role,
    Kind::RoleBinding,
];

/// Brings the cluster to what an organization's spec says.
///
/// # Errors
/// When the API server refuses or fails a request; it is tried again.
pub async fn reconcile(
    organization: Arc<Organization>,
    context: Arc<Context>,
) -> Result<Action, WriteError> {
    if organization.is_paused() {
        return pause(organization.as_ref(), &context).await;
    }
    if organization.is_deleting() {
        return finalize(&organization, &context).await;
    }
    // 1. observe
    let observed = observe(&organization, &context).await?;
    // 2. validate, 3. plan
    let assessment = observed.assess(&organization, &context.settings, assess);
    // 4. apply
    let applied = apply(&organization, &assessment, &context).await;
    // 5. status
    let status = status(&organization, &assessment, &applied, Timestamp::now());
    context
        .writer
        .write_status(organization.as_ref(), &status)
        .await?;
    match applied {
        Ok(()) => Ok(Action::await_change()),
        Err(error) if error.is_stalled() => Ok(Action::requeue(FOREIGN_PAUSE)),
        Err(error) => Err(error),
    }
}

async fn apply(
    organization: &Organization,
    assessment: &Assessment,
    context: &Context,
) -> Result<(), WriteError> {
    if assessment.objects.is_empty() {
        return Ok(());
    }
    context.writer.ensure_finalizer(organization).await?;
    for object in &assessment.objects {
        context.writer.apply(object).await?;
    }
    // What an invalid spec no longer says must not go because of a mistake.
    if assessment.organization.is_ok() {
        let keep: Vec<_> = assessment
            .objects
            .iter()
            .filter(|object| object.kind != Kind::ConfigMap)
            .cloned()
            .collect();
        let owner = owner_of(organization);
        context
            .writer
            .prune(&owner, &OWN_KINDS, &namespace_of(organization), &keep)
            .await?;
        let document = assessment
            .objects
            .iter()
            .filter(|object| object.kind == Kind::ConfigMap);
        let document: Vec<_> = document.cloned().collect();
        if !document.is_empty() {
            context
                .writer
                .prune(
                    &owner,
                    &[Kind::ConfigMap],
                    names::TENANTS_NAMESPACE,
                    &document,
                )
                .await?;
        }
    }
    Ok(())
}
