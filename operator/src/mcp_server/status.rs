//! Step 5: the status, from what was found and what was applied.

use agentapi_crds::conditions::reasons;
use agentapi_crds::tenant_config::ServerTarget;
use agentapi_crds::{McpServer, McpServerStatus};
use k8s_openapi::jiff::Timestamp;

use super::validated::ValidatedServer;
use crate::apply::WriteError;
use crate::conditions::{Progress, conditions};
use crate::problem::{Member, Problem, summary};

/// What is known about the workload of a server after it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replicas {
    pub(super) wanted: u32,
    pub(super) available: u64,
    /// What the others wait for; nothing where all are available.
    pub(super) waiting_for: Option<String>,
}

/// What became of a server's objects.
pub(super) type Applied = Result<Option<Replicas>, WriteError>;

pub(super) fn status(
    server: &McpServer,
    member: &Member<ValidatedServer>,
    applied: &Applied,
    now: Timestamp,
) -> McpServerStatus {
    let previous = server.status.clone().unwrap_or_default();
    let assertions = progress(member, applied).assertions();
    McpServerStatus {
        observed_generation: server.metadata.generation,
        conditions: conditions(
            &previous.conditions,
            assertions,
            server.metadata.generation,
            now,
        ),
        server_type: server.spec.server_type(),
        auth: Some(server.spec.auth_type()),
        endpoint: match member {
            Member::Valid(valid) => Some(endpoint(&valid.config.target)),
            Member::Withdrawn(_) => None,
            Member::Invalid(_) => previous.endpoint,
        },
        ..previous
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
        (Member::Valid(_), Ok(Some(replicas))) if replicas.wanted == 0 => Progress::Off {
            reason: reasons::SUSPENDED,
            message: "nothing runs while the organization is suspended".to_owned(),
        },
        (
            Member::Valid(_),
            Ok(Some(Replicas {
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
