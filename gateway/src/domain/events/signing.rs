//! Symmetric signatures of Standard Webhooks 1.0.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// Before the base64 text of a secret.
const PREFIX: &str = "whsec_";
/// Before a signature: HMAC-SHA-256.
const VERSION: &str = "v1";
/// Fewest and most bytes of a secret, as the standard recommends.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why a text is not a list of secrets. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretFormatError {
    /// There is none.
    #[error("the signing secret is empty")]
    Empty,
    /// One of them is not in the form of the standard.
    #[error("a signing secret must be `whsec_` and base64")]
    Malformed,
    /// One of them is too short to be safe, or too long.
    #[error("a signing secret must have 24 to 64 bytes, not {0}")]
    Length(usize),
}

/// The secrets of one sink: more than one while they are rotated, and every message
/// is signed with each.
pub struct SigningSecrets(Vec<hmac::Key>);

impl std::fmt::Debug for SigningSecrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SigningSecrets({})", self.0.len())
    }
}

impl SigningSecrets {
    /// Reads secrets, separated by white space: `whsec_` and base64, each.
    ///
    /// # Errors
    /// See [`SecretFormatError`].
    pub fn parse(text: &SecretString) -> Result<Self, SecretFormatError> {
        let keys: Vec<_> = text
            .expose_secret()
            .split_whitespace()
            .map(key)
            .collect::<Result<_, _>>()?;
        match keys.is_empty() {
            true => Err(SecretFormatError::Empty),
            false => Ok(Self(keys)),
        }
    }

    /// The value of `webhook-signature` for `content`.
    pub(super) fn sign(&self, content: &str) -> String {
        let one = |key| {
            let signature = hmac::sign(key, content.as_bytes());
            format!("{VERSION},{}", BASE64_STANDARD.encode(signature))
        };
        self.0.iter().map(one).collect::<Vec<_>>().join(" ")
    }
}

fn key(text: &str) -> Result<hmac::Key, SecretFormatError> {
    let encoded = text
        .strip_prefix(PREFIX)
        .ok_or(SecretFormatError::Malformed)?;
    let bytes = BASE64_STANDARD
        .decode(encoded)
        .map_err(|_| SecretFormatError::Malformed)?;
    let bytes = Zeroizing::new(bytes);
    match BYTES.contains(&bytes.len()) {
        true => Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
        false => Err(SecretFormatError::Length(bytes.len())),
    }
}
