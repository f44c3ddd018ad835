//! The ring as it is written: `ID:BASE64,ID:BASE64`, the first one encrypts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::envelope::{LONGEST_KEY_ID, is_key_id};

/// Bytes of an AES-256 key.
pub(super) const KEY: usize = 32;

/// Why keys cannot be used. Their text is never repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected ID:BASE64,… with 32 bytes of key each and no id twice: key {position} {problem}")]
pub struct KeyRingError {
    /// Position among the keys, from 1.
    pub position: usize,
    /// What is wrong with it.
    pub problem: KeyProblem,
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// There is no colon.
    #[error("has no colon after its id")]
    NoColon,
    /// The id cannot be one.
    #[error("needs an id of 1 to {LONGEST_KEY_ID} letters, digits, dots, hyphens and underscores")]
    Id,
    /// Another key has the id.
    #[error("has the id {0:?} of one before it")]
    Repeated(String),
    /// The key is not base64 of 32 bytes.
    #[error("is not 32 bytes in base64, as `openssl rand -base64 32` makes them")]
    Key,
}

/// One key with its name.
pub(super) struct Entry<'a> {
    pub(super) id: &'a str,
    pub(super) key: Zeroizing<Vec<u8>>,
}

/// Reads keys, separated by commas or white space.
///
/// # Errors
/// See [`KeyRingError`].
pub(super) fn entries(text: &str) -> Result<Vec<Entry<'_>>, KeyRingError> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for (index, word) in words(text).enumerate() {
        let entry = entry(word).and_then(|entry| {
            let known = entries.iter().any(|known| known.id == entry.id);
            let repeated = || KeyProblem::Repeated(entry.id.to_owned());
            if known { Err(repeated()) } else { Ok(entry) }
        });
        entries.push(entry.map_err(|problem| KeyRingError {
            position: index + 1,
            problem,
        })?);
    }
    Ok(entries)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let separates = |character: char| character == ',' || character.is_whitespace();
    text.split(separates).filter(|word| !word.is_empty())
}

fn entry(word: &str) -> Result<Entry<'_>, KeyProblem> {
    let (id, encoded) = word.split_once(':').ok_or(KeyProblem::NoColon)?;
    if !is_key_id(id.as_bytes()) {
        return Err(KeyProblem::Id);
    }
    let key = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| KeyProblem::Key)?);
    if key.len() != KEY {
        return Err(KeyProblem::Key);
    }
    Ok(Entry { id, key })
}
