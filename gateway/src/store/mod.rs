//! What outlives a process: sessions, MCP client sessions, API keys, connections with
//! upstream servers, the audit record and the events made from it.
//!
//! Every function takes the tenant. A row of another tenant, or of another user
//! where the function takes one, is reported exactly like a row that does not exist.
//!
//! - [`SessionStore`], [`McpSessionStore`], [`McpConfigStore`], [`ApiKeyStore`], [`SealedStore`], [`BrowserStore`], [`ConnectionStore`], [`RevocationStore`], [`AuditStore`], [`AuditKeepingStore`], [`EventStore`], [`RetirementStore`], [`Sweeper`], [`Health`]: one trait for each subject; [`Store`] is all of them.
//! - [`open`] gives the store of a URL, [`migrate`] brings a schema up to date.
//! - `sql` holds the statements, which are the same for both databases;
//!   `postgres` and `sqlite` hold what differs: connections, transactions, locks, batches.

mod api_keys;
mod audit;
mod audit_keeping;
mod browsers;
mod connections;
mod error;
mod events;
mod idempotency;
mod mcp_configs;
mod mcp_sessions;
mod migrate;
mod postgres;
mod retirement;
mod sealed;
mod sessions;
mod sql;
mod sqlite;

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

pub use api_keys::{ApiKey, ApiKeyStore, HashedApiKey};
pub use audit::{AuditBatch, AuditFilter, AuditRow, AuditStore, WriterId};
pub use audit_keeping::{AuditKeepingStore, Basis, DeadWriter};
pub use browsers::{BrowserSession, BrowserStore, PendingAuthorization};
pub use connections::{
    Connection, ConnectionState, ConnectionStore, NewConnection, Offboarded, RefreshLease,
    RevocationStore, SealedTokens,
};
pub use error::StoreError;
pub use events::{DeadLetter, Delivery, EventStore, NewDelivery, Settlement};
pub use idempotency::{Created, IdempotencyKey};
pub use mcp_configs::{CredentialsChange, McpConfig, McpConfigStore, SealedMcpConfig};
pub use mcp_sessions::{McpScope, McpSession, McpSessionStore, UpstreamState};
pub use migrate::{MigrateError, MigrationReport, migrate};
pub use retirement::RetirementStore;
pub use sealed::{SealedRow, SealedStore};
pub use sessions::{
    NewSession, Session, SessionEvent, SessionMember, SessionRole, SessionStore, Sweeper,
};
#[cfg(test)]
pub(crate) use sql::Calls;

/// What the database knows an organization by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub Uuid);

/// The whole store: one trait for each subject.
pub trait Store:
    SessionStore
    + McpSessionStore
    + McpConfigStore
    + ApiKeyStore
    + SealedStore
    + AuditStore
    + AuditKeepingStore
    + EventStore
    + RetirementStore
    + BrowserStore
    + ConnectionStore
    + RevocationStore
    + Sweeper
    + Health
{
}

impl<T> Store for T where
    T: SessionStore
        + McpSessionStore
        + McpConfigStore
        + ApiKeyStore
        + SealedStore
        + AuditStore
        + AuditKeepingStore
        + EventStore
        + RetirementStore
        + BrowserStore
        + ConnectionStore
        + RevocationStore
        + Sweeper
        + Health
{
}

/// Whether the database answers.
#[async_trait::async_trait]
pub trait Health: Send + Sync + 'static {
    /// One cheap round trip.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Position in a list, and how much of it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Most items returned; callers keep it between 1 and 200.
    pub limit: u32,
    /// The id of the last item already seen.
    pub after: Option<Uuid>,
}

/// A part of a list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paged<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<Uuid>,
}

/// Which database a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// PostgreSQL: for any number of replicas.
    Postgres,
    /// SQLite: for one process.
    Sqlite,
}

impl Database {
    /// Reads the scheme: `postgres://…` (or `postgresql://…`), `sqlite:PATH` or `sqlite::memory:`.
    pub fn of_url(url: &SecretString) -> Result<Self, StoreError> {
        let url = url.expose_secret();
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => Ok(Self::Postgres),
            Some("sqlite") => Ok(Self::Sqlite),
            _ => Err(StoreError::UnknownScheme),
        }
    }
}

/// Opens the store of a URL.
///
/// PostgreSQL must have been migrated before and must be reached as a role that
/// row-level security binds: a superuser, a role with `BYPASSRLS` and the owner
/// of the tables are refused. SQLite is created and migrated on the way, and
/// refuses a second process.
pub async fn open(url: &SecretString) -> Result<Arc<dyn Store>, StoreError> {
    match Database::of_url(url)? {
        Database::Postgres => Ok(Arc::new(sql::SqlStore::new(
            postgres::Postgres::open(url).await?,
        ))),
        Database::Sqlite => Ok(Arc::new(sql::SqlStore::new(
            sqlite::Sqlite::open(url).await?,
        ))),
    }
}

/// A new store in memory whose calls can be read back.
#[cfg(test)]
pub(crate) async fn recorded() -> (Arc<dyn Store>, Calls) {
    let calls = Calls::default();
    let url = "sqlite::memory:".into();
    let engine = sqlite::Sqlite::open(&url).await.unwrap();
    let engine = sql::Recorded::new(engine, calls.clone());
    (Arc::new(sql::SqlStore::new(engine)), calls)
}
