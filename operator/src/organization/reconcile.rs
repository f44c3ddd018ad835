//! The reconciliation of an `Organization`, step by step.

use std::sync::Arc;
use std::time::Duration;

use agentapi_crds::{Organization, names};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube_runtime::controller::Action;

use super::assess::{Assessment, assess};
use super::finalize::finalize;
use super::names::{namespace_of, owner_of};
use super::observe::{Observed, observe};
use super::stages::{Stage, stages};
use super::status::{deleting, status};
use crate::apply::{Own, WriteError};
use crate::context::Context;
use crate::object::{Kind, Object, Owner};
use crate::pause::{is_paused, pause};

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
    if is_paused(organization.as_ref()) {
        return pause(organization.as_ref(), &context).await;
    }
    if organization.is_deleting() {
        return delete(&organization, &context).await;
    }
    // 1. observe
    let observed = observe(&organization, &context).await?;
    // 2. validate, 3. plan
    let mut assessment = observed.assess(&organization, &context.settings, assess);
    // 4. apply
    let predecessor = observed.predecessor.as_ref();
    let mut applied = prepare(&organization, &assessment, predecessor, &context).await;
    if applied.is_ok() && is_first_document(&observed, &assessment) {
        (assessment, applied) = look_again(&organization, assessment, &context).await?;
    }
    if applied.is_ok() {
        applied = serve(&organization, &assessment, predecessor, &context).await;
    }
    // 5. status
    let verdict = |revision: &str| context.gateways.applied(&organization.name_any(), revision);
    let now = Timestamp::now();
    let status = status(&organization, &assessment, &applied, verdict, now);
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

/// Deletes what the organization has, and says what keeps that from being done.
async fn delete(organization: &Organization, context: &Context) -> Result<Action, WriteError> {
    let finalized = finalize(organization, context).await;
    match &finalized {
        // Another replica may write by now.
        Ok(_) | Err(WriteError::NotLeading(_)) => {}
        Err(error) => {
            let status = deleting(
                organization,
                error.reason(),
                &error.to_string(),
                Timestamp::now(),
            );
            context.writer.write_status(organization, &status).await?;
        }
    }
    finalized
}

/// Whether the document is about to be written for the first time.
fn is_first_document(observed: &Observed, assessment: &Assessment) -> bool {
    !observed.has_document() && matches!(assessment.document, Ok(Some(_)))
}

/// Members can usually be created only when their namespace is there, and then
/// come at once: the first document has those that came while it was prepared.
/// What its servers need (rights to read their Secrets) is made before it.
async fn look_again(
    organization: &Organization,
    before: Assessment,
    context: &Context,
) -> Result<(Assessment, Result<(), WriteError>), WriteError> {
    let observed = observe(organization, context).await?;
    let now = observed.assess(organization, &context.settings, assess);
    let prepared = |assessment: &Assessment| {
        let objects = assessment.objects.iter().cloned();
        objects
            .filter(|object| object.kind != Kind::ConfigMap)
            .collect::<Vec<_>>()
    };
    let applied = if prepared(&now) == prepared(&before) {
        Ok(())
    } else {
        apply_stages(organization, &now, observed.predecessor.as_ref(), context).await
    };
    Ok((now, applied))
}

/// Makes everything but the document.
async fn prepare(
    organization: &Organization,
    assessment: &Assessment,
    predecessor: Option<&Owner>,
    context: &Context,
) -> Result<(), WriteError> {
    if assessment.objects.is_empty() {
        return Ok(());
    }
    context.writer.ensure_finalizer(organization).await?;
    apply_stages(organization, assessment, predecessor, context).await
}

async fn apply_stages(
    organization: &Organization,
    assessment: &Assessment,
    predecessor: Option<&Owner>,
    context: &Context,
) -> Result<(), WriteError> {
    let stages = stages(&assessment.objects, predecessor.is_some()).into_iter();
    for (stage, objects) in stages.filter(|(stage, _)| *stage != Stage::Document) {
        if let Some(predecessor) = predecessor.filter(|_| stage == Stage::TakenOver) {
            prune_predecessor(predecessor, organization, &assessment.objects, context).await?;
        }
        context.writer.apply_all(&objects, predecessor).await?;
    }
    Ok(())
}

/// Makes the document, after everything that it needs, and takes away what the
/// spec no longer says.
async fn serve(
    organization: &Organization,
    assessment: &Assessment,
    predecessor: Option<&Owner>,
    context: &Context,
) -> Result<(), WriteError> {
    if assessment.objects.is_empty() {
        return Ok(());
    }
    let writer = &context.writer;
    let documents = assessment.objects.iter();
    let documents: Vec<_> = documents
        .filter(|object| object.kind == Kind::ConfigMap)
        .collect();
    writer.apply_all(&documents, predecessor).await?;
    remember_document(organization, assessment, context);
    // What an invalid spec no longer says must not go because of a mistake.
    if assessment.organization.is_ok() {
        let owner = owner_of(organization);
        let namespace = namespace_of(organization);
        let keep = &assessment.objects;
        writer.prune(&owner, &OWN_KINDS, &namespace, keep).await?;
        if !documents.is_empty() {
            let kinds = [Kind::ConfigMap];
            writer
                .prune(&owner, &kinds, names::TENANTS_NAMESPACE, keep)
                .await?;
        }
    }
    Ok(())
}

/// Deletes what a deleted organization left and this one does not plan: nobody's
/// rights are taken over.
async fn prune_predecessor(
    predecessor: &Owner,
    organization: &Organization,
    keep: &[Object],
    context: &Context,
) -> Result<(), WriteError> {
    let namespace = namespace_of(organization);
    let writer = &context.writer;
    for kinds in [&OWN_KINDS[..], &Kind::WORKLOAD] {
        writer.prune(predecessor, kinds, &namespace, keep).await?;
    }
    let documents = [Kind::ConfigMap];
    writer
        .prune(predecessor, &documents, names::TENANTS_NAMESPACE, keep)
        .await
}

fn remember_document(organization: &Organization, assessment: &Assessment, context: &Context) {
    if let Ok(Some(document)) = &assessment.document {
        let name = organization.name_any();
        context.caches.claims.serve(&name, document);
        let uid = owner_of(organization).uid;
        context
            .documents
            .set(&uid, Some(Arc::new(document.clone())));
    }
}
