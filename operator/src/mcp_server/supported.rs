//! Fields of an `McpServer` that this version does not act on. A server that
//! sets one is refused: serving it without would be less safe than it reads.

use agentapi_crds::McpServerSpec;
use agentapi_crds::mcp_server::{
    CredentialScope, PinMode, PolicyMode, RemoteTransport, ServerLimits,
};

use crate::problem::Problem;
use crate::settings::Placement;

/// A problem for each field set that this version does not act on.
pub(crate) fn check(spec: &McpServerSpec, placement: Placement) -> Vec<Problem> {
    let auth = spec.auth.as_ref();
    let transport = spec.remote.as_ref().map(|remote| remote.transport);
    let unsupported = [
        (
            "spec.auth.tokenExchange",
            auth.is_some_and(|auth| auth.token_exchange.is_some()),
        ),
        (
            "spec.credentialScope",
            spec.credential_scope == CredentialScope::User
                && auth.is_none_or(|auth| auth.oauth.is_none()),
        ),
        ("spec.tools.authorize", !spec.tools.authorize.is_empty()),
        (
            "spec.tools.requireApproval",
            !spec.tools.require_approval.is_empty(),
        ),
        ("spec.tools.pin", spec.tools.pin != PinMode::Off),
        ("spec.tools.mode", spec.tools.mode == PolicyMode::Shadow),
        (
            "spec.remote.transport",
            transport == Some(RemoteTransport::Sse),
        ),
        (
            "spec.limits.concurrency",
            spec.limits.concurrency != ServerLimits::default().concurrency,
        ),
        (
            "spec.container",
            placement == Placement::Embedded && spec.container.is_some(),
        ),
    ];
    unsupported
        .into_iter()
        .filter(|(_, is_set)| *is_set)
        .map(|(field, _)| Problem::not_supported(field, advice(field)))
        .collect()
}

fn advice(field: &str) -> &'static str {
    match field {
        "spec.credentialScope" => "User is supported with auth.oauth only: use Organization",
        "spec.tools.pin" => "Warn and Enforce are not supported yet: use Off",
        "spec.tools.mode" => "Shadow is not supported yet: use Enforce",
        "spec.remote.transport" => "Sse is not supported yet: use StreamableHttp",
        "spec.container" => {
            "there are no containers in the embedded mode: use a cluster, or disable the server here"
        }
        _ => "is not supported yet: leave it at its default",
    }
}
