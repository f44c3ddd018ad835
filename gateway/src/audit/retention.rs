//! Removing what need not be kept any longer.

use jiff::Timestamp;

use super::{Anchors, checkpoint};
use crate::domain::audit::{Partition, Signer};
use crate::store::{AuditKeepingStore, StoreError};
use crate::telemetry::chain;

/// Removes every partition whose time is over, each after checkpoints have stated
/// the ends of its chains. One that cannot be removed is logged and left for later.
pub(super) async fn remove_expired(
    store: &dyn AuditKeepingStore,
    signer: &Signer,
    anchors: &dyn Anchors,
    now: Timestamp,
) -> Result<(), StoreError> {
    for partition in store.expired_partitions(now).await? {
        if let Err(error) = remove(store, signer, anchors, partition).await {
            let (month, days) = (partition.month, partition.retention_days);
            tracing::warn!(%month, retention_days = days, error = chain(&error), "expired audit records were not removed; trying again later");
        }
    }
    Ok(())
}

async fn remove(
    store: &dyn AuditKeepingStore,
    signer: &Signer,
    anchors: &dyn Anchors,
    partition: Partition,
) -> Result<(), StoreError> {
    for tenant in store.tenants_to_drop(partition).await? {
        checkpoint(store, signer, anchors, tenant, Some(partition)).await?;
    }
    store.drop_partition(partition).await?;
    let (month, days) = (partition.month, partition.retention_days);
    tracing::info!(%month, retention_days = days, "removed audit records whose time was over");
    Ok(())
}
