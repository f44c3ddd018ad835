//! The keys, by their names.

use std::sync::Arc;

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce, Tag};
use aws_lc_rs::rand;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::envelope::{self, NONCE};
use super::text::{self, KeyProblem};
use super::{DecryptError, EncryptError, KeyRingError, Location, Sealed};

/// A ring of AES-256 keys: the first one encrypts, all of them decrypt. There is
/// at least one. Cloning is cheap.
///
/// Nonces are random: one key may seal 2³² values before the chance of a
/// repetition passes 2⁻³² (NIST SP 800-38D, section 8.3). Rotate long before.
#[derive(Clone)]
pub struct EncryptionKeys(Arc<Ring>);

struct Ring {
    active: NamedKey,
    others: Vec<NamedKey>,
}

struct NamedKey {
    id: String,
    cipher: Aes256Gcm,
}

impl std::fmt::Debug for EncryptionKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut keys = formatter.debug_tuple("EncryptionKeys");
        keys.field(&self.ids().collect::<Vec<_>>()).finish()
    }
}

impl EncryptionKeys {
    /// Reads `ID:BASE64,…`, separated by commas or white space; nothing where there is no key.
    ///
    /// # Errors
    /// See [`KeyRingError`].
    pub fn parse(text: &SecretString) -> Result<Option<Self>, KeyRingError> {
        let entries = text::entries(text.expose_secret())?;
        let keys = entries.into_iter().enumerate().map(|(index, entry)| {
            NamedKey::new(&entry).map_err(|problem| KeyRingError {
                position: index + 1,
                problem,
            })
        });
        let mut keys = keys.collect::<Result<Vec<_>, _>>()?.into_iter();
        Ok(keys.next().map(|active| {
            let others = keys.collect();
            Self(Arc::new(Ring { active, others }))
        }))
    }

    /// Name of the key that encrypts.
    pub fn active(&self) -> &str {
        &self.0.active.id
    }

    /// The names of all keys, the encrypting one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.all().map(|key| key.id.as_str())
    }

    /// Whether a key of that name is in the ring.
    pub fn has(&self, id: &str) -> bool {
        self.ids().any(|known| known == id)
    }

    /// Encrypts a secret for one place.
    ///
    /// # Errors
    /// See [`EncryptError`].
    pub fn seal(&self, location: &Location, secret: &SecretString) -> Result<Sealed, EncryptError> {
        let key = &self.0.active;
        let header = envelope::header(&key.id);
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce).map_err(|_| EncryptError::Randomness)?;
        let mut text = Zeroizing::new(secret.expose_secret().as_bytes().to_vec());
        let tag = key
            .cipher
            .encrypt_inout_detached(
                &Nonce::from(nonce),
                &location.associated_data(&header),
                text.as_mut_slice().into(),
            )
            .map_err(|_| EncryptError::TooLong)?;
        Ok(Sealed::of_parts(header, &nonce, &text, &tag))
    }

    /// Decrypts what was sealed for exactly this place.
    ///
    /// # Errors
    /// See [`DecryptError`].
    pub fn open(&self, location: &Location, sealed: &Sealed) -> Result<SecretString, DecryptError> {
        let id = sealed.key_id();
        let key = self.all().find(|key| key.id == id);
        let key = key.ok_or_else(|| DecryptError::UnknownKey { id: id.to_owned() })?;
        let refused = || DecryptError::Refused { id: id.to_owned() };
        let (nonce, ciphertext, tag) = sealed.parts();
        let mut text = Zeroizing::new(ciphertext.to_vec());
        key.cipher
            .decrypt_inout_detached(
                &Nonce::try_from(nonce).map_err(|_| refused())?,
                &location.associated_data(sealed.header()),
                text.as_mut_slice().into(),
                &Tag::try_from(tag).map_err(|_| refused())?,
            )
            .map_err(|_| refused())?;
        let text = std::str::from_utf8(&text).map_err(|_| DecryptError::NotText)?;
        Ok(text.to_owned().into())
    }

    /// Decrypts what is kept in a place.
    ///
    /// # Errors
    /// See [`DecryptError`].
    pub fn open_bytes(
        &self,
        location: &Location,
        kept: &[u8],
    ) -> Result<SecretString, DecryptError> {
        self.open(location, &Sealed::from_bytes(kept.to_vec())?)
    }

    /// Encrypts what is kept in a place anew, with the key that encrypts now.
    ///
    /// # Errors
    /// See [`RewrapError`].
    pub fn rewrap(&self, location: &Location, kept: &[u8]) -> Result<Sealed, RewrapError> {
        Ok(self.seal(location, &self.open_bytes(location, kept)?)?)
    }

    fn all(&self) -> impl Iterator<Item = &NamedKey> {
        std::iter::once(&self.0.active).chain(&self.0.others)
    }
}

impl NamedKey {
    fn new(entry: &text::Entry<'_>) -> Result<Self, KeyProblem> {
        let cipher = Aes256Gcm::new_from_slice(&entry.key).map_err(|_| KeyProblem::Key)?;
        Ok(Self {
            id: entry.id.to_owned(),
            cipher,
        })
    }
}

/// Why a value cannot be encrypted anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewrapError {
    /// It does not open.
    #[error(transparent)]
    Open(#[from] DecryptError),
    /// It cannot be sealed.
    #[error(transparent)]
    Seal(#[from] EncryptError),
}
