//! MCP sessions of clients (`Mcp-Session-Id`) and the upstream sessions behind them.
//!
//! Kept in the store, so that any replica can serve any session and a killed
//! replica loses none.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{StoreError, TenantId};

/// What an MCP session reaches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum McpScope {
    /// All servers of the organization, federated (`/mcp`).
    Federated,
    /// One server, names untouched (`/mcp/{server}`).
    Server(String),
    /// All servers, within an agent session (`/v1/sessions/{id}/mcp`).
    Session(Uuid),
}

/// One MCP session of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct McpSession {
    /// Value of `Mcp-Session-Id`: a random UUIDv4. It never authenticates; every request is checked against `user`.
    pub id: Uuid,
    /// The user it is bound to.
    pub user: String,
    /// Unit of isolation below the user.
    pub workspace: String,
    /// What it reaches.
    pub scope: McpScope,
    /// Negotiated protocol revision, for example `2025-11-25`.
    pub protocol_version: String,
    /// The client's `capabilities` object as it was sent.
    pub client_capabilities: serde_json::Value,
    /// The client's `clientInfo` object as it was sent.
    pub client_info: serde_json::Value,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// Upstream sessions by server name.
    pub upstreams: BTreeMap<String, UpstreamState>,
}

/// The upstream half of an MCP session, for one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamState {
    /// The upstream's `Mcp-Session-Id`, if it gave one.
    pub session_id: Option<String>,
    /// Revision negotiated with the upstream.
    pub protocol_version: String,
}

/// MCP sessions of one tenant.
#[async_trait]
pub trait McpSessionStore: Send + Sync + 'static {
    /// Writes a new session.
    async fn create_mcp_session(
        &self,
        tenant: TenantId,
        session: &McpSession,
    ) -> Result<(), StoreError>;

    /// A live session of the user with its upstreams.
    async fn mcp_session(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<Option<McpSession>, StoreError>;

    /// Remembers the upstream session of one server.
    async fn put_upstream(
        &self,
        tenant: TenantId,
        id: Uuid,
        server: &str,
        state: &UpstreamState,
    ) -> Result<(), StoreError>;

    /// Ends a session; `false` if the user has none of that id.
    async fn end_mcp_session(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<bool, StoreError>;
}
