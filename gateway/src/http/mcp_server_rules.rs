//! What keeping a user's own MCP server takes, one rule a function.

use std::sync::Arc;

use http::HeaderMap;
use http::header::IF_MATCH;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::mcp_server_documents::id_of;
use super::{AppState, ErrorCode, Problem};
use crate::auth::Caller;
use crate::domain::user_servers::{Settings, Unfit};
use crate::encryption::{Location, Sealed, SealedColumn};
use crate::store::{IdempotencyKey, SealedMcpConfig};
use crate::telemetry::chain;
use crate::upstream::Server;

/// The organization's server of that id.
pub(super) fn of_organization(caller: &Caller, id: Uuid) -> Option<&Arc<Server>> {
    let mut servers = caller.tenant.servers.values();
    servers.find(|server| id_of(caller.tenant_id(), server.name()) == id)
}

/// Whether the organization's users may have servers of their own.
pub(super) fn may_have_own(caller: &Caller) -> Result<(), Problem> {
    if caller.tenant.config.user_servers {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::UserServersDisabled,
        "the organization does not allow users' own MCP servers: its spec.userServers is false",
    ))
}

/// Why there is no server of that id to change.
pub(super) fn no_own(caller: &Caller, id: Uuid) -> Problem {
    if of_organization(caller, id).is_some() {
        let detail = "the server is declared in Kubernetes: change its McpServer";
        return Problem::new(ErrorCode::McpServerReadOnly, detail);
    }
    Problem::not_found()
}

/// Whether name and prefix are not those of a server of the organization.
pub(super) fn is_free(caller: &Caller, name: &str, settings: &Settings) -> Result<(), Problem> {
    if caller.tenant.servers.contains_key(name) {
        let detail = format!("the organization has an MCP server with the name {name}");
        return Err(Problem::new(ErrorCode::McpServerNameTaken, detail));
    }
    is_free_prefix(caller, name, settings)
}

/// Whether the prefix is that of no server of the organization.
pub(super) fn is_free_prefix(
    caller: &Caller,
    name: &str,
    settings: &Settings,
) -> Result<(), Problem> {
    let prefix = settings.tools.prefix.as_deref().unwrap_or(name);
    let mut organizations = caller.tenant.servers.values();
    // A server that the organization has named alike stands in for this one, prefix and all.
    let taken = organizations.any(|other| other.prefix() == prefix && other.name() != name);
    if !taken {
        return Ok(());
    }
    let detail = format!("an MCP server of the organization uses the prefix {prefix}");
    Err(Problem::new(ErrorCode::McpServerNameTaken, detail))
}

/// Credentials follow a server to no other place than the one they were given for.
pub(super) fn stay_at_home(settings: &Settings, url: &str) -> Result<(), Problem> {
    let bare = settings.credentials == Default::default();
    if bare || settings.is_same_origin(url) {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::InvalidRequest,
        "url has another scheme, host or port: give auth again, or null for none",
    ))
}

/// Whether `If-Match` (RFC 9110, section 13.1.1), if there is one, names the version.
pub(super) fn matches_version(headers: &HeaderMap, version: u64) -> Result<(), Problem> {
    let mut values = headers.get_all(IF_MATCH).iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let tag = entity_tag(version);
    let names = |value: &str| {
        value
            .split(',')
            .any(|own| [tag.as_str(), "*"].contains(&own.trim()))
    };
    if values.any(|value| value.to_str().is_ok_and(names)) {
        return Ok(());
    }
    let detail = format!("the server has the version {tag} now: read it again");
    Err(Problem::new(ErrorCode::PreconditionFailed, detail))
}

/// The `ETag` of a version.
pub(super) fn entity_tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// A secret, sealed for the credentials of one server.
pub(super) fn seal(
    state: &AppState,
    caller: &Caller,
    id: Uuid,
    secret: &SecretString,
) -> Result<Sealed, Problem> {
    let keys = state.user_servers.keys().ok_or_else(|| {
        Problem::new(
            ErrorCode::EncryptionNotConfigured,
            "credentials cannot be stored: the platform engineer must set AGENTAPI_ENCRYPTION_KEYS",
        )
    })?;
    let place = Location {
        tenant: caller.tenant_id(),
        column: SealedColumn::McpCredentials,
        row: id,
    };
    keys.seal(&place, secret).map_err(|error| {
        tracing::error!(%error, "a credential cannot be encrypted");
        Problem::new(ErrorCode::Internal, "the credential cannot be encrypted")
    })
}

/// Whether the server compiles, as it will have to.
pub(super) fn can_be_served(
    state: &AppState,
    caller: &Caller,
    row: &SealedMcpConfig,
) -> Result<(), Problem> {
    match state.user_servers.compile(&caller.tenant, row) {
        Ok(_) => Ok(()),
        Err(error) => Err(Problem::new(ErrorCode::InvalidRequest, chain(&error))),
    }
}

/// What tells the body from another, without its secrets: what is kept for a day
/// must be no way to guess them.
pub(super) fn without_secret(
    once: IdempotencyKey,
    name: &str,
    settings: &Settings,
) -> IdempotencyKey {
    let body = json!([name, settings]).to_string();
    IdempotencyKey {
        key: once.key,
        fingerprint: Sha256::digest(body).into(),
    }
}

/// Times are kept to the microsecond: what is answered is what is kept.
pub(super) fn microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

impl From<Unfit> for Problem {
    fn from(unfit: Unfit) -> Self {
        Self::new(ErrorCode::InvalidRequest, unfit.to_string())
    }
}
