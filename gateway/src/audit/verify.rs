//! Reading an organization's chains back.

use std::collections::BTreeSet;

use crate::domain::audit::{
    ChainCheck, CheckpointCheck, CheckpointProblem, Claims, Mark, Problem, VerifyingKeys,
};
use crate::store::{Store, StoreError, TenantId, WriterId};

/// Rows read at a time.
const PAGE: u32 = 500;

/// Most problems listed of each kind; a record that is mostly wrong needs no longer list.
const MOST_PROBLEMS: usize = 1000;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Chains read, one for each writer epoch.
    pub writers: usize,
    /// Records read.
    pub records: u64,
    /// Checkpoints read.
    pub checkpoints: u64,
    /// What is wrong with records, at most 1000 entries.
    pub problems: Vec<Problem>,
    /// What is wrong with checkpoints, at most 1000 entries.
    pub checkpoint_problems: Vec<CheckpointProblem>,
    /// Most records that died with writers in buffered mode.
    pub may_lack: u64,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty() && self.checkpoint_problems.is_empty()
    }
}

/// Reads every checkpoint and every chain of an organization, and names each record that
/// was changed, removed, moved or cut off.
///
/// `keys` verify the checkpoints; `anchor` is the last one as it is known from elsewhere.
pub async fn verify(
    store: &dyn Store,
    tenant: TenantId,
    keys: &VerifyingKeys,
    anchor: Option<Mark>,
) -> Result<Verification, StoreError> {
    let mut verification = Verification::default();
    // Checkpoints first: chains that grow meanwhile are longer than stated, never shorter.
    let check = CheckpointCheck::new(keys, tenant.0, anchor);
    let mut claims = verify_checkpoints(store, tenant, check, &mut verification).await?;
    let known = claims.keys().map(|writer| WriterId(*writer));
    let mut writers: BTreeSet<WriterId> = known.collect();
    writers.extend(store.audit_writers(tenant).await?);
    for writer in writers {
        let check = ChainCheck::new(writer.0, claims.remove(&writer.0));
        verify_chain(store, tenant, check, &mut verification).await?;
    }
    Ok(verification)
}

async fn verify_checkpoints(
    store: &dyn Store,
    tenant: TenantId,
    mut check: CheckpointCheck<'_>,
    verification: &mut Verification,
) -> Result<Claims, StoreError> {
    loop {
        let page = store.checkpoints(tenant, check.number(), PAGE).await?;
        for checkpoint in &page {
            verification.checkpoints += 1;
            let found = check.next(checkpoint);
            extend(&mut verification.checkpoint_problems, found);
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    let (missing, claims) = check.finish();
    extend(&mut verification.checkpoint_problems, missing);
    verification.may_lack = claims.values().map(|claim| u64::from(claim.may_lack)).sum();
    Ok(claims)
}

async fn verify_chain(
    store: &dyn Store,
    tenant: TenantId,
    mut check: ChainCheck,
    verification: &mut Verification,
) -> Result<(), StoreError> {
    let writer = WriterId(check.writer());
    loop {
        let page = store
            .audit_chain(tenant, writer, check.sequence(), PAGE)
            .await?;
        for record in &page {
            verification.records += 1;
            extend(&mut verification.problems, check.next(record));
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    verification.writers += usize::from(check.sequence() > 0);
    extend(&mut verification.problems, check.finish());
    Ok(())
}

fn extend<T>(problems: &mut Vec<T>, found: impl IntoIterator<Item = T>) {
    let room = MOST_PROBLEMS.saturating_sub(problems.len());
    problems.extend(found.into_iter().take(room));
}
