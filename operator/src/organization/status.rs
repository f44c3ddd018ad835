//! Step 5: the status, from what was found and what was applied.

use agentapi_crds::conditions::{reasons, types};
use agentapi_crds::{Organization, OrganizationStatus};
use k8s_openapi::jiff::Timestamp;

use super::assess::Assessment;
use super::event_sinks::EventSinks;
use super::validate::ValidatedOrganization;
use crate::apply::WriteError;
use crate::conditions::{Assertion, Progress, conditions};
use crate::gateway_api::{self, Verdict};
use crate::problem::{Problem, summary};

/// The status after objects were applied, or after applying them failed.
/// `verdict` tells whether the gateway serves a revision, where it is asked.
pub(super) fn status(
    organization: &Organization,
    assessment: &Assessment,
    applied: &Result<(), WriteError>,
    verdict: impl FnOnce(&str) -> Option<Verdict>,
    now: Timestamp,
) -> OrganizationStatus {
    let mut assertions = progress(assessment, applied).assertions();
    if let Ok(valid) = &assessment.organization {
        assertions.push(egress_enforced(valid));
        assertions.extend(supported(valid));
        assertions.extend(event_sinks_ready(&assessment.event_sinks));
    }
    let previous = organization.status.clone().unwrap_or_default();
    let served = assessment.document.as_ref().ok().and_then(Option::as_ref);
    let served = served.filter(|_| applied.is_ok());
    if let Some(document) = served {
        let revision = document.revision.as_str();
        let before = organization.status.as_ref();
        assertions.extend(
            verdict(revision).map(|verdict| gateway_api::assertion(&verdict, revision, before)),
        );
    }
    OrganizationStatus {
        observed_generation: organization.metadata.generation,
        conditions: conditions(
            &previous.conditions,
            assertions,
            organization.metadata.generation,
            now,
        ),
        namespace: match &assessment.organization {
            Ok(valid) => Some(valid.namespace.clone()),
            Err(_) => previous.namespace,
        },
        tenant_id: match &assessment.organization {
            Ok(valid) => Some(valid.tenant_id.to_string()),
            Err(_) => previous.tenant_id,
        },
        // A number above four billion servers does not fit into the document either.
        servers: served
            .and_then(|document| u32::try_from(document.servers.len()).ok())
            .or(previous.servers),
        revision: served
            .map(|document| document.revision.clone())
            .or(previous.revision),
    }
}

/// The status while deletion is under way, or blocked by what `waits_for` names.
pub(super) fn deleting(
    organization: &Organization,
    reason: &'static str,
    waits_for: &str,
    now: Timestamp,
) -> OrganizationStatus {
    let previous = organization.status.clone().unwrap_or_default();
    let progress = Progress::Reconciling {
        reason: reasons::DELETING,
        message: "the organization is being deleted".to_owned(),
    };
    let mut assertions = progress.assertions();
    assertions.push(Assertion::is_true(
        types::DELETION_BLOCKED,
        reason,
        waits_for,
    ));
    OrganizationStatus {
        observed_generation: organization.metadata.generation,
        conditions: conditions(
            &previous.conditions,
            assertions,
            organization.metadata.generation,
            now,
        ),
        ..previous
    }
}

fn progress(assessment: &Assessment, applied: &Result<(), WriteError>) -> Progress {
    if let Err(problems) = &assessment.organization {
        let reason = problems
            .first()
            .map_or(reasons::INVALID_SPEC, |problem: &Problem| problem.reason);
        return Progress::Stalled {
            reason,
            message: summary(problems),
        };
    }
    if let Err(error) = applied {
        let (reason, message) = (error.reason(), error.to_string());
        return if error.is_stalled() {
            Progress::Stalled { reason, message }
        } else {
            Progress::Reconciling { reason, message }
        };
    }
    match (&assessment.document, &assessment.organization) {
        (Err(error), _) => Progress::Stalled {
            reason: reasons::CONFIG_TOO_LARGE,
            message: error.to_string(),
        },
        (_, Ok(valid)) if valid.suspended => Progress::Off {
            reason: reasons::SUSPENDED,
            message: "every request is refused while spec.suspended is true".to_owned(),
        },
        _ => Progress::Ready(ready_message(assessment)),
    }
}

/// What is served, and which members are not served as they are written.
fn ready_message(assessment: &Assessment) -> String {
    let held_back: Vec<&str> = assessment
        .servers
        .iter()
        .filter(|(_, member)| member.valid().is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    let valid = assessment.servers.len() - held_back.len();
    let servers = if valid == 1 {
        "1 server".to_owned()
    } else {
        format!("{valid} servers")
    };
    if held_back.is_empty() {
        format!("namespace and TenantConfig are applied with {servers}")
    } else {
        format!(
            "namespace and TenantConfig are applied with {servers}; not served as written: {}",
            held_back.join(", ")
        )
    }
}

fn egress_enforced(organization: &ValidatedOrganization) -> Assertion {
    let hosts = organization.egress_hosts();
    if hosts.is_empty() {
        let message = "all declared egress is expressed by NetworkPolicies";
        Assertion::is_true(types::EGRESS_ENFORCED, reasons::ENFORCED, message)
    } else {
        let message = format!(
            "NetworkPolicies cannot name hosts: {} may be reached by the gateway only, not by workloads; declare a cidr if workloads need them",
            hosts.join(", ")
        );
        Assertion::is_false(types::EGRESS_ENFORCED, reasons::HOSTS_NOT_ENFORCED, message)
    }
}

fn event_sinks_ready(sinks: &EventSinks) -> Option<Assertion> {
    let condition = types::EVENT_SINKS_READY;
    match (sinks.problems.first(), sinks.usable.len()) {
        (None, 0) => None,
        (None, count) => Some(Assertion::is_true(
            condition,
            reasons::RECONCILED,
            format!("events are sent to {count} of {count} sinks"),
        )),
        (Some(problem), _) => {
            let message = format!("without effect: {}", summary(&sinks.problems));
            Some(Assertion::is_false(condition, problem.reason, message))
        }
    }
}

fn supported(organization: &ValidatedOrganization) -> Option<Assertion> {
    let fields = organization.unsupported.join(", ");
    (!fields.is_empty()).then(|| {
        let message = format!("not supported yet and without effect: {fields}");
        Assertion::is_false(types::SUPPORTED, reasons::NOT_SUPPORTED, message)
    })
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
