//! Users' own MCP servers.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Created, IdempotencyKey, StoreError, TenantId};
use crate::domain::user_servers::Settings;
use crate::encryption::Sealed;

/// A user's own MCP server, without what authenticates the gateway to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpConfig {
    /// UUIDv7.
    pub id: Uuid,
    /// Whose it is.
    pub user: String,
    /// Unique among the user's.
    pub name: String,
    /// What the user says of it.
    pub settings: Settings,
    /// Counts its user's changes, from 1.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its user changed it last.
    pub updated_at: Timestamp,
}

/// A user's own MCP server with its sealed credentials, if it needs any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedMcpConfig {
    /// The server.
    pub config: McpConfig,
    /// Sealed for the column [`McpCredentials`](crate::encryption::SealedColumn::McpCredentials) of the row.
    pub credentials: Option<Sealed>,
}

/// What becomes of a changed server's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialsChange {
    /// They stay, as they are when it is written.
    Keep,
    /// These instead, or none.
    Replace(Option<Sealed>),
}

/// Users' own MCP servers of one tenant.
#[async_trait]
pub trait McpConfigStore: Send + Sync + 'static {
    /// Keeps a server. Fails with [`StoreError::McpServerNameTaken`] where its user
    /// has one of the name, and with [`StoreError::McpServerLimit`] where they have
    /// `most` already. Under an idempotency key it is kept once.
    async fn create_mcp_config(
        &self,
        tenant: TenantId,
        new: SealedMcpConfig,
        most: u32,
        once: Option<&IdempotencyKey>,
    ) -> Result<Created<McpConfig>, StoreError>;

    /// A server of the user.
    async fn mcp_config(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<Option<SealedMcpConfig>, StoreError>;

    /// All servers of the user, by name.
    async fn mcp_configs(
        &self,
        tenant: TenantId,
        user: &str,
    ) -> Result<Vec<SealedMcpConfig>, StoreError>;

    /// Changes a server that still has the given version; nothing if it has another
    /// one, or is not the user's, or is gone.
    async fn change_mcp_config(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
        version: u64,
        settings: &Settings,
        credentials: &CredentialsChange,
    ) -> Result<Option<McpConfig>, StoreError>;

    /// Removes a server; `false` if the user has none of that id.
    async fn remove_mcp_config(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<bool, StoreError>;
}
