//! Where the last checkpoint of each organization is kept besides the database.

use async_trait::async_trait;

use crate::cache::CacheError;
use crate::domain::audit::Mark;
use crate::store::TenantId;

/// Why an anchor could not be read or raised.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// The cache cannot be asked.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// What is kept is no mark.
    #[error("the anchor of the organization cannot be read: {0:?}")]
    Unreadable(String),
}

/// Keeps the number and the hash of the last checkpoint away from the database:
/// whoever cuts the end off the record there has to change it here as well. Every
/// checkpoint is in the log, too.
#[async_trait]
pub trait Anchors: Send + Sync + 'static {
    /// Raises the anchor of an organization; a lower number than the one kept changes nothing.
    async fn raise(&self, tenant: TenantId, mark: &Mark) -> Result<(), AnchorError>;

    /// The anchor of an organization, if there is one.
    async fn anchor(&self, tenant: TenantId) -> Result<Option<Mark>, AnchorError>;
}
