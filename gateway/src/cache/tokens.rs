//! Credentials beside the database, as it holds them: sealed.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::SecretString;

use super::{Cache, CacheError};
use crate::encryption::{DecryptError, EncryptionKeys, Location, Sealed};

/// A longer value is not worth the cache's memory: whoever needs it asks the database.
const MOST_BYTES: usize = 16 * 1024;

/// Sealed credentials by the place in the database that they belong to, for all replicas.
///
/// The cache holds the very envelope of the row: it opens with the same keys, for
/// the same tenant and row only, and tells whoever reads the cache as little. Every
/// value has an end; one that is lost or cannot be opened is read from the database
/// again.
#[derive(Clone)]
pub struct TokenCache {
    cache: Arc<dyn Cache>,
    keys: EncryptionKeys,
}

/// Why the cache does not tell whether it holds a credential.
#[derive(Debug, thiserror::Error)]
pub enum TokenCacheError {
    /// The cache cannot be asked.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// What is there is not what was put there, or its key is gone.
    #[error("a cached credential cannot be opened")]
    Open(#[from] DecryptError),
    /// What is there is no sealed value.
    #[error("what is cached is no sealed credential")]
    Malformed,
}

impl TokenCache {
    /// A cache of credentials that the keys have sealed.
    pub fn new(cache: Arc<dyn Cache>, keys: EncryptionKeys) -> Self {
        Self { cache, keys }
    }

    /// The credential of a row, if it is held.
    ///
    /// # Errors
    /// See [`TokenCacheError`]: ask the database.
    pub async fn get(&self, location: &Location) -> Result<Option<SecretString>, TokenCacheError> {
        let Some(text) = self.cache.get(&key(location)).await? else {
            return Ok(None);
        };
        let bytes = STANDARD_NO_PAD.decode(text);
        let sealed = bytes.ok().and_then(|bytes| Sealed::from_bytes(bytes).ok());
        let sealed = sealed.ok_or(TokenCacheError::Malformed)?;
        Ok(Some(self.keys.open(location, &sealed)?))
    }

    /// Holds the credential of a row for a time. What is too long is not held.
    ///
    /// # Errors
    /// When the cache cannot be asked.
    pub async fn put(
        &self,
        location: &Location,
        sealed: &Sealed,
        lifetime: Duration,
    ) -> Result<(), CacheError> {
        let bytes = sealed.as_bytes();
        if bytes.len() > MOST_BYTES {
            return self.forget(location).await;
        }
        let text = STANDARD_NO_PAD.encode(bytes);
        self.cache.set(&key(location), &text, lifetime).await
    }

    /// Holds the credential of a row no longer.
    ///
    /// # Errors
    /// When the cache cannot be asked: the credential may be held until its end.
    pub async fn forget(&self, location: &Location) -> Result<(), CacheError> {
        self.cache.remove(&key(location)).await
    }
}

fn key(location: &Location) -> String {
    let Location {
        tenant,
        column,
        row,
    } = location;
    format!(
        "agentapi:sealed:{{{}}}:{}.{}:{row}",
        tenant.0,
        column.table(),
        column.column()
    )
}
