//! Sealed values of all tenants, for the check at start and for encrypting anew.

use async_trait::async_trait;
use uuid::Uuid;

use super::{StoreError, TenantId};
use crate::encryption::{Location, Sealed, SealedColumn};

/// A sealed value as it is kept, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRow {
    /// Its place, which it is bound to.
    pub location: Location,
    /// Its bytes. That they are a [`Sealed`] is for the reader to find: one that
    /// was damaged must not hide the others.
    pub bytes: Vec<u8>,
}

/// Sealed values of one column, across tenants: a job of the worker.
#[async_trait]
pub trait SealedStore: Send + Sync + 'static {
    /// The ids of the keys that values are sealed with, in order. Costs one look
    /// at an index for each of them, however many values there are.
    async fn sealed_key_ids(&self, column: SealedColumn) -> Result<Vec<String>, StoreError>;

    /// How many values a key has sealed.
    async fn count_sealed(&self, column: SealedColumn, key_id: &str) -> Result<u64, StoreError>;

    /// The values that a key has sealed, in the order of tenant and row, beginning after one of them.
    async fn sealed_rows(
        &self,
        column: SealedColumn,
        key_id: &str,
        after: Option<(TenantId, Uuid)>,
        limit: u32,
    ) -> Result<Vec<SealedRow>, StoreError>;

    /// Puts values in the place of others, all at once; returns how many. One that
    /// has changed meanwhile stays as it is: whoever wrote it knew better.
    async fn replace_sealed(
        &self,
        column: SealedColumn,
        replacements: &[(SealedRow, Sealed)],
    ) -> Result<u64, StoreError>;
}
