//! Checks an `McpServer` beyond what its schema can say, and resolves it.

use agentapi_crds::conditions::reasons;
use agentapi_crds::tenant_config::{self as document, CredentialHeader};
use agentapi_crds::{McpServer, McpServerSpec};
use globset::Glob;

use super::credentials::{self, Destination};
use super::oauth;
use super::place::{Refusal, place};
use super::resilience;
use super::supported;
use super::validated::{Surroundings, ValidatedServer};
use crate::problem::{Member, Problem};
use crate::rank::is_earlier;

/// The server as it is served, or why it cannot be.
pub fn validate(server: &McpServer, surroundings: &Surroundings<'_>) -> Member<ValidatedServer> {
    let spec = &server.spec;
    if spec.disabled {
        return Member::Withdrawn(disabled());
    }
    let mut problems = supported::check(spec, surroundings.settings.placement);
    check_prefix(server, surroundings.siblings, &mut problems);
    check_globs(spec, &mut problems);
    oauth::check(spec, &mut problems);
    let resilience = resilience::check(&spec.resilience, &mut problems);
    let placed = match place(server, surroundings) {
        Ok(placed) => Some(placed),
        Err(Refusal::Invalid(problem)) => {
            problems.push(problem);
            None
        }
        Err(Refusal::Secret(problem)) => return Member::Withdrawn(problem),
    };
    let Some(placed) = placed.filter(|_| problems.is_empty()) else {
        return Member::Invalid(problems);
    };
    let credentials = match resolve_credentials(spec, surroundings, &placed.host) {
        Ok(credentials) => credentials,
        Err(problem) => return Member::Withdrawn(problem),
    };
    let oauth = match oauth::resolve(spec, surroundings) {
        Ok(oauth) => oauth,
        Err(problem) => return Member::Withdrawn(problem),
    };
    let name = name_of(server).to_owned();
    Member::Valid(ValidatedServer {
        uid: server.metadata.uid.clone(),
        config: document::ServerConfig {
            name: name.clone(),
            target: placed.target,
            credentials,
            credential_scope: spec.credential_scope,
            oauth,
            tools: document::ToolsConfig {
                prefix: spec.tools.prefix.clone(),
                allow: spec.tools.allow.clone(),
                deny: spec.tools.deny.clone(),
            },
            limits: document::ServerLimits {
                request_bytes: spec.limits.request_bytes,
                result_bytes: spec.limits.result_bytes,
            },
            timeout_seconds: resilience.timeout_seconds,
            retries: resilience.retries,
            breaker: resilience.breaker,
        },
        name,
        workload: placed.workload,
    })
}

/// What a disabled server is told.
pub fn disabled() -> Problem {
    let message = "the server is withdrawn while this is true";
    Problem::new(reasons::DISABLED, "spec.disabled", message)
}

fn resolve_credentials(
    spec: &McpServerSpec,
    surroundings: &Surroundings<'_>,
    host: &str,
) -> Result<Vec<CredentialHeader>, Problem> {
    let Some(auth) = &spec.auth else {
        return Ok(Vec::new());
    };
    let resolve = |reference, field: &str| {
        credentials::resolve(
            surroundings.secrets,
            &surroundings.organization.namespace,
            reference,
            &Destination::Host(host),
            field,
        )
    };
    let mut headers = Vec::new();
    if let Some(bearer) = &auth.bearer {
        headers.push(CredentialHeader {
            header: "authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
            secret: resolve(&bearer.secret_ref, "spec.auth.bearer.secretRef")?,
        });
    }
    for (index, header) in auth.headers.iter().enumerate() {
        headers.push(CredentialHeader {
            header: header.name.to_ascii_lowercase(),
            prefix: String::new(),
            secret: resolve(
                &header.secret_ref,
                &format!("spec.auth.headers[{index}].secretRef"),
            )?,
        });
    }
    Ok(headers)
}

fn check_prefix(server: &McpServer, siblings: &[&McpServer], problems: &mut Vec<Problem>) {
    let prefix = tool_prefix(server);
    let holder = siblings.iter().find(|sibling| {
        !sibling.spec.disabled && tool_prefix(sibling) == prefix && is_earlier(**sibling, server)
    });
    if let Some(holder) = holder {
        problems.push(Problem::invalid(
            "spec.tools.prefix",
            format!(
                "`{prefix}` is already the prefix of the server {}: choose another",
                name_of(holder)
            ),
        ));
    }
}

fn check_globs(spec: &McpServerSpec, problems: &mut Vec<Problem>) {
    for (list, globs) in [("allow", &spec.tools.allow), ("deny", &spec.tools.deny)] {
        for (index, glob) in globs.iter().enumerate() {
            if let Err(error) = Glob::new(glob) {
                let field = format!("spec.tools.{list}[{index}]");
                problems.push(Problem::invalid(field, error.to_string()));
            }
        }
    }
}

/// The timeout in seconds. Durations below a second are refused by the schema's range.
fn tool_prefix(server: &McpServer) -> &str {
    server
        .spec
        .tools
        .prefix
        .as_deref()
        .unwrap_or_else(|| name_of(server))
}

pub(super) fn name_of(server: &McpServer) -> &str {
    server.metadata.name.as_deref().unwrap_or_default()
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
