//! Reading an organization's chains back.

use crate::domain::audit::{ChainCheck, Problem};
use crate::store::{AuditStore, StoreError, TenantId, WriterId};

/// Records read at a time.
const PAGE: u32 = 500;

/// Most problems listed; a record that is mostly wrong needs no longer list.
const MOST_PROBLEMS: usize = 1000;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Chains read, one for each writer epoch.
    pub writers: usize,
    /// Records read.
    pub records: u64,
    /// What is wrong, at most 1000 entries; empty if the record is whole.
    pub problems: Vec<Problem>,
}

/// Reads every chain of an organization and names each record that was changed, removed or moved.
pub async fn verify(store: &dyn AuditStore, tenant: TenantId) -> Result<Verification, StoreError> {
    let mut verification = Verification::default();
    for writer in store.audit_writers(tenant).await? {
        verification.writers += 1;
        verify_chain(store, tenant, writer, &mut verification).await?;
    }
    Ok(verification)
}

async fn verify_chain(
    store: &dyn AuditStore,
    tenant: TenantId,
    writer: WriterId,
    verification: &mut Verification,
) -> Result<(), StoreError> {
    let mut check = ChainCheck::new(writer.0);
    loop {
        let page = store
            .audit_chain(tenant, writer, check.sequence(), PAGE)
            .await?;
        for record in &page {
            verification.records += 1;
            let room = MOST_PROBLEMS.saturating_sub(verification.problems.len());
            verification
                .problems
                .extend(check.next(record).into_iter().take(room));
        }
        if page.len() < PAGE as usize {
            return Ok(());
        }
    }
}
