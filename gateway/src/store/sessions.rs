//! Agent sessions, those who share them, and what happened in them.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Created, IdempotencyKey, Page, Paged, StoreError, TenantId};

/// What a user is to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionRole {
    /// Made it: changes, shares and ends it.
    Owner,
    /// Works in it.
    Participant,
    /// Sees it and its events.
    Viewer,
}

impl SessionRole {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Participant, Self::Viewer];

    /// The name in the database and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Participant => "participant",
            Self::Viewer => "viewer",
        }
    }

    /// Whether it may use the session's MCP endpoint.
    pub const fn may_work(self) -> bool {
        matches!(self, Self::Owner | Self::Participant)
    }
}

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
    /// What the user who asked is to it; nothing for one who only inspects it.
    pub role: Option<SessionRole>,
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

/// A user whom the owner lets into a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionMember {
    /// The user.
    pub user: String,
    /// What the user may do; never the owner's role.
    pub role: SessionRole,
}

/// Something that happened in a session.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionEvent {
    /// Position among the session's events, from 1 and without gaps.
    pub sequence: u64,
    /// When it happened.
    pub time: Timestamp,
    /// What happened, for example `session.updated`.
    pub kind: String,
    /// More about it; a JSON object.
    pub data: serde_json::Value,
}

/// Sessions of one tenant.
///
/// A session is visible to its owner and its members; to everybody else it does not exist.
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

    /// A live session that the user owns or shares, with its use noted.
    async fn touch_session(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<Option<Session>, StoreError>;

    /// A live session of anybody, for those who may inspect; its use is not noted.
    async fn inspect_session(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<Session>, StoreError>;

    /// The live sessions that a user owns or shares, newest first.
    async fn list_sessions(
        &self,
        tenant: TenantId,
        user: &str,
        page: Page,
    ) -> Result<Paged<Session>, StoreError>;

    /// The live sessions of all users, newest first, for those who may inspect.
    async fn list_all_sessions(
        &self,
        tenant: TenantId,
        page: Page,
    ) -> Result<Paged<Session>, StoreError>;

    /// Replaces the metadata of a live session of the owner.
    async fn set_session_metadata(
        &self,
        tenant: TenantId,
        owner: &str,
        id: Uuid,
        metadata: &serde_json::Value,
    ) -> Result<Option<Session>, StoreError>;

    /// Ends a session; `false` if the owner has none of that id.
    async fn end_session(
        &self,
        tenant: TenantId,
        owner: &str,
        id: Uuid,
    ) -> Result<bool, StoreError>;

    /// Those who share a live session that the user owns or shares, by name.
    async fn session_members(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
    ) -> Result<Option<Vec<SessionMember>>, StoreError>;

    /// Lets a user into a live session of the owner, or changes their role; `false`
    /// if the owner has none of that id. Fails with [`StoreError::MemberLimit`].
    async fn put_session_member(
        &self,
        tenant: TenantId,
        owner: &str,
        id: Uuid,
        member: &SessionMember,
    ) -> Result<bool, StoreError>;

    /// Takes a user out of a live session; `false` if there is no such member.
    async fn remove_session_member(
        &self,
        tenant: TenantId,
        id: Uuid,
        user: &str,
    ) -> Result<bool, StoreError>;

    /// Up to `limit` events of a live session that the user owns or shares, with
    /// `sequence` greater than `after`, in order. The oldest may have been let go.
    async fn session_events(
        &self,
        tenant: TenantId,
        user: &str,
        id: Uuid,
        after: u64,
        limit: u32,
    ) -> Result<Option<Vec<SessionEvent>>, StoreError>;
}

/// Removing what has ended, of all tenants.
#[async_trait]
pub trait Sweeper: Send + Sync + 'static {
    /// Removes a bounded number of sessions, MCP sessions, API keys and idempotency
    /// keys that have ended, and of dead letters after 30 days; says how many. Any number of replicas may
    /// sweep: while one does, the others find nothing to do.
    async fn sweep(&self) -> Result<u64, StoreError>;
}
