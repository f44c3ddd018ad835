//! Step 5: the status, from what was found and what was applied.

use std::collections::BTreeMap;

use agentapi_crds::conditions::{find, reasons, types};
use agentapi_crds::tenant_config::ServerTarget;
use agentapi_crds::{McpServer, McpServerStatus};
use k8s_openapi::jiff::Timestamp;

use super::validated::ValidatedServer;
use crate::apply::WriteError;
use crate::conditions::{Assertion, Progress, conditions};
use crate::gateway_api::Outcome;
use crate::problem::{Member, Problem, summary};

/// What is known about the workload of a server after it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replicas {
    pub(super) wanted: u32,
    pub(super) available: u64,
    /// What the others wait for; nothing where all are available.
    pub(super) waiting_for: Option<String>,
}

/// What runs of a server after its objects were applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Running {
    /// Nothing by the operator: the server runs elsewhere, or is not valid.
    Nothing,
    /// Nothing, since the organization is suspended, wherever the server is.
    Suspended,
    /// A workload.
    Replicas(Replicas),
}

/// What became of a server's objects.
pub(super) type Applied = Result<Running, WriteError>;

pub(super) fn status(
    server: &McpServer,
    member: &Member<ValidatedServer>,
    applied: &Applied,
    tools: Option<&Outcome>,
    now: Timestamp,
) -> McpServerStatus {
    let previous = server.status.clone().unwrap_or_default();
    let mut assertions = progress(member, applied).assertions();
    assertions.extend(tools.map(discovered));
    let mut conditions = conditions(
        &previous.conditions,
        assertions,
        server.metadata.generation,
        now,
    );
    let is_withdrawn = matches!(member, Member::Withdrawn(_));
    if tools.is_none() && !is_withdrawn {
        // Not known yet: what was found before stands, for the generation it was found for.
        let before = find(&previous.conditions, types::TOOLS_DISCOVERED);
        conditions.extend(before.cloned());
    }
    let (count, digests) = match tools {
        _ if is_withdrawn => (None, BTreeMap::new()),
        Some(Ok(found)) => (Some(found.count), found.digests.clone()),
        Some(Err(_)) | None => (previous.tools, previous.digests),
    };
    McpServerStatus {
        observed_generation: server.metadata.generation,
        conditions,
        tools: count,
        digests,
        server_type: server.spec.server_type(),
        auth: Some(server.spec.auth_type()),
        endpoint: match member {
            Member::Valid(valid) => Some(endpoint(&valid.config.target)),
            Member::Withdrawn(_) => None,
            Member::Invalid(_) => previous.endpoint,
        },
    }
}

fn discovered(tools: &Outcome) -> Assertion {
    match tools {
        Ok(_) => Assertion::is_true(
            types::TOOLS_DISCOVERED,
            reasons::DISCOVERED,
            "the gateway has listed what the server offers",
        ),
        Err(why) => Assertion::is_false(types::TOOLS_DISCOVERED, reasons::DISCOVERY_FAILED, why),
    }
}

fn progress(member: &Member<ValidatedServer>, applied: &Applied) -> Progress {
    match (member, applied) {
        (Member::Withdrawn(problem), _) if problem.reason == reasons::DISABLED => Progress::Off {
            reason: problem.reason,
            message: problem.to_string(),
        },
        (Member::Withdrawn(problem), _) => Progress::Stalled {
            reason: problem.reason,
            message: problem.to_string(),
        },
        (Member::Invalid(problems), _) => Progress::Stalled {
            reason: problems
                .first()
                .map_or(reasons::INVALID_SPEC, |problem: &Problem| problem.reason),
            message: summary(problems),
        },
        (Member::Valid(_), Err(error)) if error.is_stalled() => Progress::Stalled {
            reason: error.reason(),
            message: error.to_string(),
        },
        (Member::Valid(_), Err(error)) => Progress::Reconciling {
            reason: error.reason(),
            message: error.to_string(),
        },
        (Member::Valid(_), Ok(Running::Suspended)) => Progress::Off {
            reason: reasons::SUSPENDED,
            message: "the organization is suspended: the gateway refuses its calls, and nothing runs for it"
                .to_owned(),
        },
        (
            Member::Valid(_),
            Ok(Running::Replicas(Replicas {
                wanted,
                available,
                waiting_for: Some(why),
            })),
        ) => Progress::Reconciling {
            reason: reasons::PROGRESSING,
            message: format!("{available} of {wanted} replicas are available: {why}"),
        },
        (Member::Valid(_), Ok(_)) => {
            Progress::Ready("the server is in its organization's TenantConfig".to_owned())
        }
    }
}

fn endpoint(target: &ServerTarget) -> String {
    match target {
        ServerTarget::Remote { url, .. } => url.clone(),
        ServerTarget::InCluster {
            namespace,
            service,
            port,
            path,
            ..
        } => {
            format!("http://{service}.{namespace}.svc:{port}{path}")
        }
        ServerTarget::Process { command, .. } => command.join(" "),
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
