//! Encrypting anew with the first key what older ones have sealed, while gateways serve.
//!
//! Work that is done is not found again, since rows are found by the id of the key
//! that sealed them: whoever was killed begins where it was, and two at once do no
//! harm. A value is replaced only while it is what was read, so that what a user
//! writes meanwhile stays.

use crate::encryption::{EncryptionKeys, Location, RewrapError, SealedColumn};
use crate::store::{SealedRow, SealedStore, StoreError};

/// Values that are replaced in one transaction.
const BATCH: u32 = 100;

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Values looked at.
    pub done: u64,
    /// Values that older keys had sealed when it began.
    pub total: u64,
}

/// A value that did not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnopenedRow {
    /// Where it is.
    pub location: Location,
    /// Why it does not open.
    pub error: RewrapError,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Values that the first key seals now.
    pub replaced: u64,
    /// Values that somebody else has changed or removed meanwhile.
    pub overtaken: u64,
    /// Values that did not open, and stay as they are.
    pub unopened: Vec<UnopenedRow>,
    /// Ids of the keys, other than the first one, that values are sealed with still.
    pub still_needed: Vec<String>,
}

/// Encrypts anew everything that another key than the first one has sealed.
/// `progress` is called after each batch.
///
/// # Errors
/// See [`StoreError`]. What was done until then stays done.
pub async fn rewrap(
    store: &(impl SealedStore + ?Sized),
    keys: &EncryptionKeys,
    mut progress: impl FnMut(Progress),
) -> Result<Rewrapped, StoreError> {
    let mut work = Vec::new();
    let mut now = Progress::default();
    for column in SealedColumn::ALL {
        for id in older_keys(store, keys, column).await? {
            now.total += store.count_sealed(column, &id).await?;
            work.push((column, id));
        }
    }
    progress(now);
    let mut outcome = Rewrapped::default();
    for (column, id) in work {
        let mut after = None;
        loop {
            let rows = store.sealed_rows(column, &id, after, BATCH).await?;
            let Some(last) = rows.last() else { break };
            after = Some((last.location.tenant, last.location.row));
            now.done += rows.len() as u64;
            replace(store, keys, column, rows, &mut outcome).await?;
            progress(now);
        }
    }
    for column in SealedColumn::ALL {
        let older = older_keys(store, keys, column).await?;
        outcome.still_needed.extend(older);
    }
    outcome.still_needed.sort_unstable();
    outcome.still_needed.dedup();
    Ok(outcome)
}

async fn older_keys(
    store: &(impl SealedStore + ?Sized),
    keys: &EncryptionKeys,
    column: SealedColumn,
) -> Result<Vec<String>, StoreError> {
    let mut found = store.sealed_key_ids(column).await?;
    found.retain(|id| id != keys.active());
    Ok(found)
}

async fn replace(
    store: &(impl SealedStore + ?Sized),
    keys: &EncryptionKeys,
    column: SealedColumn,
    rows: Vec<SealedRow>,
    outcome: &mut Rewrapped,
) -> Result<(), StoreError> {
    let mut replacements = Vec::new();
    for row in rows {
        match keys.rewrap(&row.location, &row.bytes) {
            Ok(sealed) => replacements.push((row, sealed)),
            Err(error) => outcome.unopened.push(UnopenedRow {
                location: row.location,
                error,
            }),
        }
    }
    let replaced = store.replace_sealed(column, &replacements).await?;
    outcome.replaced += replaced;
    outcome.overtaken += replacements.len() as u64 - replaced;
    Ok(())
}
