//! The bytes that are kept: version, key id, nonce, ciphertext, tag.
//!
//! ```text
//! 1 byte   1 byte   1 to 64 bytes   12 bytes   any number   16 bytes
//! version  length   key id          nonce      ciphertext   tag
//! ```

/// The only version there is.
const VERSION: u8 = 1;
/// Bytes before the key id.
const PREFIX: usize = 2;
/// Longest key id, in bytes.
pub(super) const LONGEST_KEY_ID: usize = 64;
/// Bytes of a nonce (NIST SP 800-38D, section 5.2.1.1).
pub(super) const NONCE: usize = 12;
/// Bytes of a tag.
pub(super) const TAG: usize = 16;

/// Why bytes are no sealed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedEnvelope {
    /// Written by a later build, or no envelope at all.
    #[error("its version is {0}, this build reads {VERSION}")]
    Version(u8),
    /// The name of the key is none.
    #[error("it names no key")]
    KeyId,
    /// Something is missing at the end.
    #[error("it is cut short")]
    TooShort,
}

/// An encrypted secret, as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    bytes: Box<[u8]>,
    /// Bytes up to the nonce.
    header: usize,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sealed = formatter.debug_struct("Sealed");
        sealed.field("key_id", &self.key_id());
        sealed.finish_non_exhaustive()
    }
}

impl Sealed {
    /// Reads what was kept.
    ///
    /// # Errors
    /// See [`MalformedEnvelope`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, MalformedEnvelope> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&other) => return Err(MalformedEnvelope::Version(other)),
            None => return Err(MalformedEnvelope::TooShort),
        }
        let length = *bytes.get(1).ok_or(MalformedEnvelope::TooShort)?;
        let header = PREFIX + usize::from(length);
        let id = bytes.get(PREFIX..header);
        let id = id.ok_or(MalformedEnvelope::TooShort)?;
        if !is_key_id(id) {
            return Err(MalformedEnvelope::KeyId);
        }
        if bytes.len() < header + NONCE + TAG {
            return Err(MalformedEnvelope::TooShort);
        }
        Ok(Self {
            bytes: bytes.into_boxed_slice(),
            header,
        })
    }

    /// The bytes to keep.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Name of the key that opens it.
    pub fn key_id(&self) -> &str {
        // Checked to be ASCII when it was read.
        std::str::from_utf8(&self.bytes[PREFIX..self.header]).unwrap_or_default()
    }

    /// Version and key id.
    pub(super) fn header(&self) -> &[u8] {
        &self.bytes[..self.header]
    }

    /// Nonce, ciphertext and tag.
    pub(super) fn parts(&self) -> (&[u8], &[u8], &[u8]) {
        let (nonce, rest) = self.bytes[self.header..].split_at(NONCE);
        let (ciphertext, tag) = rest.split_at(rest.len() - TAG);
        (nonce, ciphertext, tag)
    }

    /// Puts together what a key has encrypted. The id is one that [`is_key_id`].
    pub(super) fn of_parts(header: Vec<u8>, nonce: &[u8], ciphertext: &[u8], tag: &[u8]) -> Self {
        let length = header.len();
        let bytes = [header.as_slice(), nonce, ciphertext, tag].concat();
        Self {
            bytes: bytes.into_boxed_slice(),
            header: length,
        }
    }
}

/// Version and key id as they begin an envelope.
pub(super) fn header(key_id: &str) -> Vec<u8> {
    let length = key_id.len() as u8;
    [&[VERSION, length], key_id.as_bytes()].concat()
}

/// Whether bytes may name a key.
pub(super) fn is_key_id(id: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    (1..=LONGEST_KEY_ID).contains(&id.len()) && id.iter().all(plain)
}
