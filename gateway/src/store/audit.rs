//! Rows of the audit record. Append-only: there is no function that changes or removes one;
//! what ends with time is in [`AuditKeepingStore`](super::AuditKeepingStore).

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{NewDelivery, Page, Paged, StoreError, TenantId};
use crate::domain::audit::{Partition, Record};

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

/// Records that are committed together.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditBatch {
    /// The records; of one chain in its order.
    pub rows: Vec<AuditRow>,
    /// The writers that they are of, each with how many records it may have
    /// acknowledged and not written yet, these ones not counted.
    pub writers: BTreeMap<WriterId, u32>,
    /// Events about the records, for sinks.
    pub deliveries: Vec<NewDelivery>,
}

impl From<Vec<AuditRow>> for AuditBatch {
    /// A batch of writers that acknowledge nothing before it is written.
    fn from(rows: Vec<AuditRow>) -> Self {
        let writers = rows.iter().map(|row| (WriterId(row.record.writer), 0));
        Self {
            writers: writers.collect(),
            rows,
            deliveries: Vec::new(),
        }
    }
}

/// Which records are wanted; every given field must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Exact action, for example `tool.call`.
    pub action: Option<String>,
    /// Exact user.
    pub actor: Option<String>,
    /// The API key that acted.
    pub api_key: Option<Uuid>,
    /// Exact resource, for example `notes/add_note`.
    pub resource: Option<String>,
    /// Exact outcome, for example `denied`.
    pub outcome: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// The audit record.
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// Opens a writer epoch for this process, and makes its partition where there is none.
    async fn open_writer(&self, writer: WriterId, partition: Partition) -> Result<(), StoreError>;

    /// Commits a batch of rows, of any tenants, all or none. `Ok` means durable.
    ///
    /// Fails with [`StoreError::WriterClosed`] where another process took one of
    /// the writers for dead and closed it.
    async fn append_audit(&self, batch: &AuditBatch) -> Result<(), StoreError>;

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
