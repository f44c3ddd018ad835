//! Rows of the audit record. Append-only: there is no function that changes or removes one.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Page, Paged, StoreError, TenantId};
use crate::domain::audit::Record;

/// One process's authorship of records: a writer epoch. UUIDv7, new at every start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriterId(pub Uuid);

/// A record with the tenant it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// Whose record it is.
    pub tenant: TenantId,
    /// The sealed record.
    pub record: Record,
}

/// Which records are wanted; every given field must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Exact action, for example `tool.call`.
    pub action: Option<String>,
    /// Exact user.
    pub actor: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// The audit record.
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// Opens a writer epoch for this process.
    async fn open_writer(&self, writer: WriterId) -> Result<(), StoreError>;

    /// Commits a batch of rows, of any tenants, all or none. `Ok` means durable.
    async fn append_audit(&self, rows: &[AuditRow]) -> Result<(), StoreError>;

    /// Records of one tenant, newest first.
    async fn audit_page(
        &self,
        tenant: TenantId,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Paged<Record>, StoreError>;

    /// The writers that have records of the tenant, oldest first.
    async fn audit_writers(&self, tenant: TenantId) -> Result<Vec<WriterId>, StoreError>;

    /// Up to `limit` records of one tenant's chain in one writer epoch, in chain
    /// order, with `sequence` greater than `after`.
    async fn audit_chain(
        &self,
        tenant: TenantId,
        writer: WriterId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError>;
}
