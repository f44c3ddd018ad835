//! What keeps the audit record: writers' lives, checkpoints, retention, erasure.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{StoreError, TenantId, WriterId};
use crate::domain::audit::{ChainHead, Checkpoint, Mark, Partition};

/// What the next checkpoint of an organization is made from, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The last checkpoint.
    pub last: Mark,
    /// The chains that it is to state.
    pub chains: Vec<ChainHead>,
}

/// A writer whose process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadWriter {
    /// The writer.
    pub id: WriterId,
    /// Most records that it acknowledged in buffered mode and did not write.
    pub may_lack: u32,
}

/// The keeping of the audit record. Any number of replicas may call any of these at once.
#[async_trait]
pub trait AuditKeepingStore: Send + Sync + 'static {
    /// Says that writers of this process live.
    async fn renew_writers(&self, writers: &[WriterId]) -> Result<(), StoreError>;

    /// Closes a writer of this process, which lacks nothing: nothing can be added to its chains.
    async fn close_writer(&self, writer: WriterId) -> Result<(), StoreError>;

    /// Closes the writers that were not seen since `seen`. A process that was
    /// only slow finds its writer closed and goes on with a new one.
    async fn close_dead_writers(&self, seen: Timestamp) -> Result<Vec<DeadWriter>, StoreError>;

    /// Organizations with chains that are closed, and stated so by no checkpoint yet.
    async fn tenants_to_state(&self) -> Result<Vec<TenantId>, StoreError>;

    /// The last checkpoint, and the heads of all chains that it does not state as
    /// closed; of all chains if `full`. Chains of `dropped` are given as dropped.
    async fn checkpoint_basis(
        &self,
        tenant: TenantId,
        full: bool,
        dropped: Option<Partition>,
    ) -> Result<Basis, StoreError>;

    /// Adds a checkpoint and marks the chains that it states as closed or dropped.
    /// `false` if another process was faster.
    async fn add_checkpoint(
        &self,
        tenant: TenantId,
        checkpoint: &Checkpoint,
    ) -> Result<bool, StoreError>;

    /// Up to `limit` checkpoints with a number greater than `after`, in order.
    async fn checkpoints(
        &self,
        tenant: TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Checkpoint>, StoreError>;

    /// Makes the next month's partition of every class that is written to now.
    async fn add_partitions(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Partitions whose time is over.
    async fn expired_partitions(&self, now: Timestamp) -> Result<Vec<Partition>, StoreError>;

    /// Organizations with chains in a partition that no checkpoint states as dropped.
    async fn tenants_to_drop(&self, partition: Partition) -> Result<Vec<TenantId>, StoreError>;

    /// Removes a partition with everything in it. The database refuses before its
    /// time is over, and until checkpoints state all of its chains as dropped.
    async fn drop_partition(&self, partition: Partition) -> Result<(), StoreError>;

    /// Erases the personal fields of all records of one actor; returns of how many.
    /// Hashes and commitments stay.
    async fn erase_actor(&self, tenant: TenantId, actor: &str) -> Result<u64, StoreError>;
}
