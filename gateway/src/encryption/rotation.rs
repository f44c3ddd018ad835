//! Changes of the ring as it is written, for whoever rotates keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::text::{self, KEY};
use super::{EncryptError, KeyRingError};

/// The keys of a ring in their order, each with its text.
pub struct KeyList(Vec<NamedText>);

struct NamedText {
    id: String,
    encoded: Zeroizing<String>,
}

impl std::fmt::Debug for KeyList {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("KeyList").field(&self.ids()).finish()
    }
}

impl KeyList {
    /// Reads `ID:BASE64,…`; there may be none.
    ///
    /// # Errors
    /// See [`KeyRingError`].
    pub fn parse(text: &SecretString) -> Result<Self, KeyRingError> {
        let entries = text::entries(text.expose_secret())?;
        let named = |entry: &text::Entry<'_>| NamedText {
            id: entry.id.to_owned(),
            encoded: Zeroizing::new(STANDARD.encode(&*entry.key)),
        };
        Ok(Self(entries.iter().map(named).collect()))
    }

    /// The ids, the encrypting one first.
    pub fn ids(&self) -> Vec<&str> {
        self.0.iter().map(|key| key.id.as_str()).collect()
    }

    /// Adds a new key at the end: it decrypts, and does not encrypt yet. The first
    /// one of all encrypts at once. Its id is `wanted`, or that with a number where it is taken.
    ///
    /// # Errors
    /// [`EncryptError::Randomness`].
    pub fn add(&mut self, wanted: &str) -> Result<&str, EncryptError> {
        let mut key = Zeroizing::new([0; KEY]);
        aws_lc_rs::rand::fill(key.as_mut()).map_err(|_| EncryptError::Randomness)?;
        let taken = |id: &String| self.ids().contains(&id.as_str());
        let numbered = (2_u32..).map(|number| format!("{wanted}-{number}"));
        let mut ids = std::iter::once(wanted.to_owned()).chain(numbered);
        let id = ids.find(|id| !taken(id)).unwrap_or_default();
        self.0.push(NamedText {
            id,
            encoded: Zeroizing::new(STANDARD.encode(key.as_slice())),
        });
        Ok(self.0.last().map_or("", |key| &key.id))
    }

    /// Makes the last key the first one, which encrypts.
    pub fn activate_last(&mut self) {
        if !self.0.is_empty() {
            self.0.rotate_right(1);
        }
    }

    /// Takes a key out; `false` if there is none of that id.
    pub fn remove(&mut self, id: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|key| key.id != id);
        self.0.len() < before
    }

    /// The text to configure.
    pub fn text(&self) -> SecretString {
        let written = |key: &NamedText| format!("{}:{}", key.id, *key.encoded);
        self.0
            .iter()
            .map(written)
            .collect::<Vec<_>>()
            .join(",")
            .into()
    }
}
