//! Agent sessions.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Created, IdempotencyKey, Page, Paged, StoreError, TenantId};

/// An agent session: one organization, user and workspace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// UUIDv7, so that ids sort by creation.
    pub id: Uuid,
    /// The user it belongs to.
    pub user: String,
    /// Unit of isolation below the user.
    pub workspace: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Timestamp,
    /// What the client wants to remember of it; a JSON object.
    pub metadata: serde_json::Value,
}

/// What is needed to create a session.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The user it belongs to.
    pub user: String,
    /// Unit of isolation below the user.
    pub workspace: String,
    /// A JSON object of the client's.
    pub metadata: serde_json::Value,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// Seconds without use after which a session no longer counts or answers.
    pub idle_timeout_seconds: u64,
    /// Most live sessions the user may have; checked in the inserting transaction under a per-user lock.
    pub max_per_user: u32,
}

/// Sessions of one tenant.
#[async_trait]
pub trait SessionStore: Send + Sync + 'static {
    /// Creates a session, or fails with [`StoreError::SessionLimit`].
    async fn create_session(
        &self,
        tenant: TenantId,
        new: NewSession,
    ) -> Result<Session, StoreError>;

    /// As [`create_session`](Self::create_session), but once for each idempotency key.
    async fn create_session_once(
        &self,
        tenant: TenantId,
        new: NewSession,
        once: &IdempotencyKey,
    ) -> Result<Created<Session>, StoreError>;

    /// A live session of the user, with its use noted.
    async fn touch_session(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<Option<Session>, StoreError>;

    /// The user's live sessions, newest first.
    async fn list_sessions(
        &self,
        tenant: TenantId,
        user: &str,
        page: Page,
    ) -> Result<Paged<Session>, StoreError>;

    /// Replaces the metadata of a live session.
    async fn set_session_metadata(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
        metadata: &serde_json::Value,
    ) -> Result<Option<Session>, StoreError>;

    /// Ends a session; `false` if the user has none of that id.
    async fn end_session(&self, tenant: TenantId, user: &str, id: Uuid)
    -> Result<bool, StoreError>;
}
