//! What the path of a request reaches.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::auth::Caller;
use crate::http::{AppState, ErrorCode, Problem};
use crate::store::{McpScope, Session, SessionRole};
use crate::upstream::Server;
use crate::user_servers::Reachable;

/// Workspace of MCP sessions that belong to no agent session.
const DEFAULT_WORKSPACE: &str = "default";

/// What the path names.
pub(super) enum Target {
    All,
    Server(String),
    Session(Uuid),
}

impl FromRequestParts<AppState> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let path = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found())?;
        let value = |wanted: &str| path.iter().find(|(name, _)| *name == wanted);
        if let Some((_, server)) = value("server") {
            return Ok(Self::Server(server.to_owned()));
        }
        match value("id") {
            Some((_, id)) => id
                .parse()
                .map(Self::Session)
                .map_err(|_| Problem::not_found()),
            None => Ok(Self::All),
        }
    }
}

/// What the path reaches for the caller.
pub(super) enum Scope {
    All,
    One(Arc<Server>),
    Session(Box<Session>),
}

impl Scope {
    /// Looks up what the path names; what is somebody else's does not exist.
    pub(super) async fn resolve(
        state: &AppState,
        caller: &Caller,
        servers: &Reachable,
        target: Target,
    ) -> Result<Self, Problem> {
        match target {
            Target::All => Ok(Self::All),
            Target::Server(name) => {
                let server = servers.get(&name).cloned();
                server.map(Self::One).ok_or_else(Problem::not_found)
            }
            Target::Session(id) => {
                let found = state
                    .store
                    .touch_session(caller.tenant_id(), &caller.user, id);
                let session = found.await?.ok_or_else(Problem::not_found)?;
                if !session.role.is_some_and(SessionRole::may_work) {
                    let detail = "a viewer of a session cannot work in it";
                    return Err(Problem::new(ErrorCode::Forbidden, detail));
                }
                Ok(Self::Session(Box::new(session)))
            }
        }
    }

    /// As the store knows it.
    pub(super) fn stored(&self) -> McpScope {
        match self {
            Self::All => McpScope::Federated,
            Self::One(server) => McpScope::Server(server.name().to_owned()),
            Self::Session(session) => McpScope::Session(session.id),
        }
    }

    /// As the record names it.
    pub(super) fn resource(&self) -> String {
        match self {
            Self::All => "mcp".to_owned(),
            Self::One(server) => format!("mcp/{}", server.name()),
            Self::Session(session) => format!("sessions/{}/mcp", session.id),
        }
    }

    /// The unit of isolation that MCP sessions here belong to.
    pub(super) fn workspace(&self) -> &str {
        match self {
            Self::All | Self::One(_) => DEFAULT_WORKSPACE,
            Self::Session(session) => &session.workspace,
        }
    }

    /// When an MCP session that begins now ends in any case.
    pub(super) fn expiry(&self, caller: &Caller) -> Timestamp {
        if let Self::Session(session) = self {
            return session.expires_at;
        }
        let seconds = caller.tenant.config.sessions.max_lifetime_seconds;
        let lifetime = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        Timestamp::now()
            .saturating_add(lifetime)
            .unwrap_or(Timestamp::MAX)
    }
}
