//! API keys: what is known of them without their secrets.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Created, IdempotencyKey, Page, Paged, StoreError, TenantId};

/// An API key. Its secret is known to nobody but its holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// UUIDv7; a part of the key.
    pub id: Uuid,
    /// The user who made it and whom it acts as.
    pub user: String,
    /// What its user calls it.
    pub name: String,
    /// The user's roles when it was made.
    pub roles: Vec<String>,
    /// Names of the rights it has, if its roles hold them.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// An API key with what its secret is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedApiKey {
    /// The key.
    pub key: ApiKey,
    /// Hash of its secret.
    pub hash: [u8; 32],
}

/// API keys of one tenant. A key is revoked by removing it.
#[async_trait]
pub trait ApiKeyStore: Send + Sync + 'static {
    /// Keeps a key, or fails with [`StoreError::ApiKeyLimit`] where its user has
    /// `most` live ones already. Under an idempotency key it is kept once.
    async fn create_api_key(
        &self,
        tenant: TenantId,
        new: HashedApiKey,
        most: u32,
        once: Option<&IdempotencyKey>,
    ) -> Result<Created<ApiKey>, StoreError>;

    /// A live key, whoever's it is.
    async fn api_key(&self, tenant: TenantId, id: Uuid)
    -> Result<Option<HashedApiKey>, StoreError>;

    /// The live keys of a user or, without one, of all users, newest first.
    async fn list_api_keys(
        &self,
        tenant: TenantId,
        user: Option<&str>,
        page: Page,
    ) -> Result<Paged<ApiKey>, StoreError>;

    /// Removes a live key of a user or, without one, of any user; `false` if there is none of that id.
    async fn revoke_api_key(
        &self,
        tenant: TenantId,
        user: Option<&str>,
        id: Uuid,
    ) -> Result<bool, StoreError>;
}
