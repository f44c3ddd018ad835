//! What outlives a process: sessions, MCP client sessions and the audit record.
//!
//! Every function takes the tenant. A row of another tenant, or of another user
//! where the function takes one, is reported exactly like a row that does not exist.

mod audit;
mod mcp_sessions;
pub mod postgres;
mod sessions;
pub mod sqlite;

pub use audit::{AuditFilter, AuditRow, AuditStore, WriterId};
pub use mcp_sessions::{McpScope, McpSession, McpSessionStore, UpstreamState};
pub use sessions::{NewSession, Session, SessionStore};

use uuid::Uuid;

/// What the database knows an organization by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub Uuid);

/// The whole store: one trait for each subject.
pub trait Store: SessionStore + McpSessionStore + AuditStore + Health {}

impl<T: SessionStore + McpSessionStore + AuditStore + Health> Store for T {}

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

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The user has as many sessions as the organization allows.
    #[error("the user already has {limit} sessions: end one first")]
    SessionLimit {
        /// The organization's `sessions.maxPerUser`.
        limit: u32,
    },
    /// The database cannot be reached or is overloaded; trying again may help.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The database refused the statement: a defect of this program or of the schema.
    #[error("the database refused a statement")]
    Database(#[source] sqlx::Error),
    /// A row holds what this build cannot read.
    #[error("a stored {what} cannot be read")]
    Corrupt {
        /// What kind of row it is.
        what: &'static str,
        /// Why it cannot be read.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
