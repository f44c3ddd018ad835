//! The credentials of one user's own server.

use agentapi_crds::tenant_config::SecretReference;
use async_trait::async_trait;
use secrecy::SecretString;

use crate::domain::user_servers::value_of;
use crate::encryption::{DecryptError, EncryptionKeys, Location, Sealed};
use crate::upstream::{SecretError, Secrets};

/// Opens the sealed credentials of one row.
pub(super) struct RowSecrets {
    pub(super) keys: Option<EncryptionKeys>,
    pub(super) location: Location,
    pub(super) sealed: Option<Sealed>,
}

#[async_trait]
impl Secrets for RowSecrets {
    /// The secret of the header field that the reference's key names.
    async fn read(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        let missing = || SecretError::Missing {
            namespace: reference.namespace.clone(),
            name: reference.name.clone(),
            key: reference.key.clone(),
        };
        let sealed = self.sealed.as_ref().ok_or_else(missing)?;
        let text = match &self.keys {
            Some(keys) => keys.open(&self.location, sealed),
            None => Err(DecryptError::UnknownKey {
                id: sealed.key_id().to_owned(),
            }),
        };
        value_of(&text.map_err(SecretError::Sealed)?, &reference.key).ok_or_else(missing)
    }
}
