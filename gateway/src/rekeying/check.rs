//! The check at start: better no gateway than one that finds out call by call
//! that it cannot open what is stored.

use crate::encryption::{DecryptError, EncryptionKeys, SealedColumn};
use crate::store::{SealedStore, StoreError};

/// Why the keys cannot be used with this database.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// There are sealed values and no keys at all.
    #[error(
        "{table} holds credentials that the key {id:?} sealed, and no key is configured: set AGENTAPI_ENCRYPTION_KEYS, or AGENTAPI_ENCRYPTION_KEYS_FILE, to what it was"
    )]
    NotConfigured {
        /// The table.
        table: &'static str,
        /// Id of a key that is needed.
        id: String,
    },
    /// A key that sealed values is not among those configured.
    #[error(
        "{table} holds credentials that the key {id:?} sealed, and only {configured} is configured: put that key back into AGENTAPI_ENCRYPTION_KEYS, after the first one, until `agentapi keys rewrap` is done"
    )]
    Missing {
        /// The table.
        table: &'static str,
        /// Id of the key.
        id: String,
        /// The ids that are configured.
        configured: String,
    },
    /// A key of that name is configured, but it is another one.
    #[error(
        "the key {id:?} of AGENTAPI_ENCRYPTION_KEYS does not open what is in {table}: it must be the one that had this id before"
    )]
    Wrong {
        /// The table.
        table: &'static str,
        /// Id of the key.
        id: String,
        /// What happened when one value was tried.
        #[source]
        source: DecryptError,
    },
    /// The database cannot be asked.
    #[error("the database cannot be asked which keys are needed")]
    Store(#[from] StoreError),
}

/// Whether every key that sealed anything is in the ring, and opens one value that it sealed.
///
/// # Errors
/// See [`KeysError`].
pub async fn check(
    store: &(impl SealedStore + ?Sized),
    keys: Option<&EncryptionKeys>,
) -> Result<(), KeysError> {
    for column in SealedColumn::ALL {
        for id in store.sealed_key_ids(column).await? {
            check_key(store, keys, column, id).await?;
        }
    }
    Ok(())
}

async fn check_key(
    store: &(impl SealedStore + ?Sized),
    keys: Option<&EncryptionKeys>,
    column: SealedColumn,
    id: String,
) -> Result<(), KeysError> {
    let table = column.table();
    let Some(keys) = keys else {
        return Err(KeysError::NotConfigured { table, id });
    };
    if !keys.has(&id) {
        let configured = keys.ids().collect::<Vec<_>>().join(", ");
        return Err(KeysError::Missing {
            table,
            id,
            configured,
        });
    }
    for row in store.sealed_rows(column, &id, None, 1).await? {
        if let Err(source) = keys.open_bytes(&row.location, &row.bytes) {
            return Err(KeysError::Wrong { table, id, source });
        }
    }
    Ok(())
}
