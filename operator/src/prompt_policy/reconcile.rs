//! The reconciliation of a `PromptPolicy`: it makes nothing, so it is judged
//! and told. Its organizations' documents are the Organization's business.

use std::sync::Arc;

use agentapi_crds::conditions::reasons;
use agentapi_crds::tenant_config::{PromptConfig, PromptLevel};
use agentapi_crds::{PromptPolicy, PromptPolicyStatus};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube_runtime::controller::Action;

use super::validate::{level_of, validate};
use crate::apply::{Own, WriteError};
use crate::conditions::{Progress, conditions};
use crate::context::Context;
use crate::desired::no_organization;
use crate::pause::{is_paused, pause};
use crate::problem::{Member, summary};

/// Judges a policy and writes its status.
///
/// # Errors
/// When the API server refuses or fails the write; it is tried again.
pub async fn reconcile(
    policy: Arc<PromptPolicy>,
    context: Arc<Context>,
) -> Result<Action, WriteError> {
    if policy.is_deleting() {
        return Ok(Action::await_change());
    }
    if is_paused(policy.as_ref()) {
        return pause(policy.as_ref(), &context).await;
    }
    let namespace = policy.namespace().unwrap_or_default();
    let level = level_of(&policy, &context.settings);
    let is_stray =
        level == PromptLevel::Organization && context.organization_of(&namespace).is_none();
    let member = if is_stray {
        Member::Invalid(vec![no_organization(&namespace)])
    } else {
        validate(&policy, level)
    };
    let status = status(&policy, &member, Timestamp::now());
    context
        .writer
        .write_status(policy.as_ref(), &status)
        .await?;
    Ok(Action::await_change())
}

fn status(
    policy: &PromptPolicy,
    member: &Member<PromptConfig>,
    now: Timestamp,
) -> PromptPolicyStatus {
    let problems = member.problems();
    let progress = match problems.first() {
        None => Progress::Ready(
            "the policy is in the TenantConfig of every organization it is for".to_owned(),
        ),
        Some(first) if first.reason == reasons::NO_ORGANIZATION => Progress::Stalled {
            reason: first.reason,
            message: summary(problems),
        },
        Some(first) => Progress::Stalled {
            reason: first.reason,
            message: format!(
                "{}; what was valid before stays in effect",
                summary(problems)
            ),
        },
    };
    let previous = policy
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    let generation = policy.metadata.generation;
    PromptPolicyStatus {
        observed_generation: generation,
        conditions: conditions(
            previous.unwrap_or_default(),
            progress.assertions(),
            generation,
            now,
        ),
    }
}
