//! Tokens for upstream servers: connections, their refresh, and their end.
//!
//! A refresh is a lease on the row, taken by comparing and setting in the
//! database and by its clock; no transaction is open while an authorization server is asked.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{StoreError, TenantId};
use crate::encryption::Sealed;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// In use.
    Connected,
    /// Nothing but its holder's consent helps.
    Reconnect,
    /// To be revoked upstream, and then removed.
    Revoking,
    /// Not revoked, however often the authorization server was asked: a person must look.
    Unrevoked,
}

impl ConnectionState {
    /// Every state.
    pub const ALL: [Self; 4] = [
        Self::Connected,
        Self::Reconnect,
        Self::Revoking,
        Self::Unrevoked,
    ];

    /// The name in the store and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Reconnect => "reconnect",
            Self::Revoking => "revoking",
            Self::Unrevoked => "unrevoked",
        }
    }
}

/// Tokens, sealed for the row that they are kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedTokens {
    /// Access and refresh token, and how they are revoked.
    pub tokens: Sealed,
    /// Seconds that the access token lives, where that is known.
    pub lifetime_seconds: Option<u64>,
    /// Whether there is a refresh token.
    pub refreshable: bool,
}

/// A connection as it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConnection {
    /// Id of the row that the tokens are sealed for.
    pub id: Uuid,
    /// Name of the `McpServer`.
    pub server: String,
    /// Whose it is: a user's, or (without one) the organization's.
    pub holder: Option<String>,
    /// The user who consented.
    pub connected_by: String,
    /// The authorization server that gave the tokens.
    pub issuer: String,
    /// What the tokens may be used for.
    pub binding: [u8; 32],
    /// Scopes that were granted.
    pub scopes: Vec<String>,
    /// The tokens.
    pub tokens: SealedTokens,
}

/// A connection as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Id of the row that the tokens are sealed for.
    pub id: Uuid,
    /// Name of the `McpServer`.
    pub server: String,
    /// Whose it is: a user's, or (without one) the organization's.
    pub holder: Option<String>,
    /// The user who consented.
    pub connected_by: String,
    /// The authorization server that gave the tokens.
    pub issuer: String,
    /// What the tokens may be used for.
    pub binding: [u8; 32],
    /// Scopes that were granted.
    pub scopes: Vec<String>,
    /// The tokens.
    pub tokens: Sealed,
    /// Counts the sets of tokens.
    pub version: i64,
    /// Where it stands.
    pub state: ConnectionState,
    /// When the access token ends, in microseconds since 1970, where that is known.
    pub expires_at: Option<i64>,
    /// Whether there is a refresh token.
    pub refreshable: bool,
    /// Of the last lease on refreshing it.
    pub lease_epoch: i64,
    /// When that lease ends, in microseconds since 1970.
    pub leased_until: i64,
    /// Whether the refresh token may have been sent under it.
    pub sent: bool,
    /// How often it was tried to revoke it.
    pub attempts: i64,
    /// When the user consented.
    pub connected_at: Timestamp,
    /// When its tokens last changed.
    pub updated_at: Timestamp,
    /// When it was read by the database's clock, in microseconds since 1970.
    pub read_at: i64,
}

/// The right to refresh one set of tokens, until the lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshLease {
    /// The connection.
    pub id: Uuid,
    /// Tells the lease from all others on the connection.
    pub epoch: i64,
}

/// What was ended with a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offboarded {
    /// Connections that are being revoked.
    pub connections: u64,
    /// Agent sessions and MCP sessions.
    pub sessions: u64,
    /// API keys.
    pub api_keys: u64,
}

/// Connections of one tenant.
#[async_trait]
pub trait ConnectionStore: Send + Sync + 'static {
    /// Makes a connection in place of the holder's connection with that server, if there is one.
    async fn connect(&self, tenant: TenantId, new: &NewConnection) -> Result<(), StoreError>;

    /// The holder's connection with a server, in use or waiting for consent.
    async fn connection(
        &self,
        tenant: TenantId,
        server: &str,
        holder: Option<&str>,
    ) -> Result<Option<Connection>, StoreError>;

    /// A user's connections and the organization's, in whatever state, by server.
    async fn connections(
        &self,
        tenant: TenantId,
        user: &str,
    ) -> Result<Vec<Connection>, StoreError>;

    /// Takes the lease on refreshing one version of the tokens; nothing if
    /// somebody has it, or has refreshed them. `again` permits to send a refresh token that may have been sent.
    async fn lease_refresh(
        &self,
        tenant: TenantId,
        id: Uuid,
        version: i64,
        again: bool,
    ) -> Result<Option<RefreshLease>, StoreError>;

    /// Notes that the refresh token is about to be sent; `false` if the lease is lost.
    async fn note_sent(&self, tenant: TenantId, lease: RefreshLease) -> Result<bool, StoreError>;

    /// Keeps new tokens and ends the lease; `false` if another lease was taken
    /// since, or the connection is gone. One that is being revoked stays so, with the new tokens.
    async fn finish_refresh(
        &self,
        tenant: TenantId,
        lease: RefreshLease,
        tokens: &SealedTokens,
        scopes: Option<&[String]>,
    ) -> Result<bool, StoreError>;

    /// Ends the lease: the refresh token was not used up.
    async fn give_up_refresh(
        &self,
        tenant: TenantId,
        lease: RefreshLease,
    ) -> Result<(), StoreError>;

    /// Notes that only consent helps, unless the tokens have changed or somebody else refreshes them.
    async fn require_reconnect(
        &self,
        tenant: TenantId,
        id: Uuid,
        version: i64,
        epoch: i64,
    ) -> Result<bool, StoreError>;
}

/// Connections that end.
#[async_trait]
pub trait RevocationStore: Send + Sync + 'static {
    /// Ends the holder's connection with a server: it is used no longer, and to be revoked; `false` if there is none.
    async fn disconnect(
        &self,
        tenant: TenantId,
        server: &str,
        holder: Option<&str>,
    ) -> Result<bool, StoreError>;

    /// Has tokens revoked that never came into use.
    async fn revoke_unused(&self, tenant: TenantId, new: &NewConnection) -> Result<(), StoreError>;

    /// Ends everything of a user: connections, browsers, sessions, API keys.
    async fn offboard(&self, tenant: TenantId, user: &str) -> Result<Offboarded, StoreError>;

    /// Some connections of any tenants that are to be revoked now.
    async fn due_revocations(&self) -> Result<Vec<(TenantId, Uuid)>, StoreError>;

    /// Takes a connection to be revoked for `pause_seconds`; nothing if somebody else has it.
    async fn take_revocation(
        &self,
        tenant: TenantId,
        id: Uuid,
        pause_seconds: u32,
    ) -> Result<Option<Connection>, StoreError>;

    /// Removes a connection that is revoked, with the tokens of that version.
    async fn finish_revocation(
        &self,
        tenant: TenantId,
        id: Uuid,
        version: i64,
    ) -> Result<(), StoreError>;

    /// Lets go of a connection that could not be revoked, until it is tried again.
    async fn postpone_revocation(
        &self,
        tenant: TenantId,
        id: Uuid,
        pause_seconds: u32,
    ) -> Result<(), StoreError>;

    /// Gives up revoking a connection: it stays, to be seen.
    async fn abandon_revocation(&self, tenant: TenantId, id: Uuid) -> Result<(), StoreError>;
}
