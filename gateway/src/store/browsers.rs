//! Browsers that are logged in, and their users' ways to authorization servers.

use async_trait::async_trait;
use uuid::Uuid;

use super::{StoreError, TenantId};

/// A browser that is logged in as a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserSession {
    /// Named by the cookie.
    pub id: Uuid,
    /// The user.
    pub user: String,
    /// Hash of the cookie's secret.
    pub secret_hash: [u8; 32],
    /// Whether the user may connect the organization's own accounts.
    pub administers: bool,
    /// Seconds after which it ends.
    pub lifetime_seconds: u32,
}

/// A user on the way to an authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingAuthorization {
    /// Named by the state.
    pub id: Uuid,
    /// The browser that went there.
    pub browser_session: Uuid,
    /// Name of the `McpServer`.
    pub server: String,
    /// Whose account is connected: a user, or nobody's but the organization's.
    pub holder: Option<String>,
    /// Hash of the state's secret.
    pub secret_hash: [u8; 32],
    /// The authorization server that was asked.
    pub issuer: String,
    /// What of the server's settings it was asked for.
    pub binding: [u8; 32],
    /// Seconds after which it is worth nothing.
    pub lifetime_seconds: u32,
}

/// Browsers of one tenant.
#[async_trait]
pub trait BrowserStore: Send + Sync + 'static {
    /// Logs a browser in.
    async fn create_browser_session(
        &self,
        tenant: TenantId,
        session: &BrowserSession,
    ) -> Result<(), StoreError>;

    /// A browser that is logged in, whatever its cookie's secret; the life that is left to it is not told.
    async fn browser_session(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<BrowserSession>, StoreError>;

    /// Remembers a user on the way to an authorization server.
    async fn begin_authorization(
        &self,
        tenant: TenantId,
        pending: &PendingAuthorization,
    ) -> Result<(), StoreError>;

    /// Takes out what was remembered: the first who asks gets it, nobody gets it later.
    async fn take_authorization(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<PendingAuthorization>, StoreError>;
}
