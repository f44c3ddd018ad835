//! Making the next checkpoint of an organization.

use jiff::Timestamp;

use super::Anchors;
use crate::domain::audit::{Checkpoint, Mark, Partition, Signer};
use crate::store::{AuditKeepingStore, StoreError, TenantId};
use crate::telemetry::chain;

/// States the heads of an organization's chains, of all writers, and signs it.
///
/// Waits for no other process: what others have committed is stated, what they
/// are about to commit will be by the next one. If another process makes the same
/// checkpoint at once, one of both is kept; `None` then, and where there is
/// nothing to state. Given a partition to drop, its chains are stated as dropped
/// and all others once more.
///
/// # Errors
/// When the store fails. A failing anchor is logged: the next checkpoint raises it.
pub async fn checkpoint(
    store: &dyn AuditKeepingStore,
    signer: &Signer,
    anchors: &dyn Anchors,
    tenant: TenantId,
    dropped: Option<Partition>,
) -> Result<Option<Mark>, StoreError> {
    let full = dropped.is_some();
    let basis = store.checkpoint_basis(tenant, full, dropped).await?;
    if basis.chains.is_empty() {
        return Ok(None);
    }
    let now = Timestamp::now();
    let made = Checkpoint::sign(signer, tenant.0, &basis.last, now, full, basis.chains);
    if !store.add_checkpoint(tenant, &made).await? {
        return Ok(None);
    }
    let mark = Mark {
        number: basis.last.number + 1,
        hash: made.hash(),
    };
    // An anchor by itself: the log is kept elsewhere than the database.
    tracing::info!(tenant = %tenant.0, checkpoint = %mark, "signed an audit checkpoint");
    if let Err(error) = anchors.raise(tenant, &mark).await {
        tracing::warn!(tenant = %tenant.0, error = chain(&error), "the anchor of the audit record was not raised");
    }
    Ok(Some(mark))
}
