//! Why a secret cannot be sealed or opened. None of it says anything of the secret.

use super::MalformedEnvelope;

/// Why a secret cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// The system gives no random numbers.
    #[error("there are no random numbers to encrypt with")]
    Randomness,
    /// The secret is longer than AES-GCM encrypts at once.
    #[error("the secret is too long to be encrypted")]
    TooLong,
}

/// Why a sealed value does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// The ring has no key of that name.
    #[error(
        "no key {id:?} is configured: put it back into AGENTAPI_ENCRYPTION_KEYS, after the first one"
    )]
    UnknownKey {
        /// Name of the key that sealed the value.
        id: String,
    },
    /// The value is not what was sealed there with that key.
    #[error(
        "the value was changed, or belongs elsewhere, or the key {id:?} is another one than it was"
    )]
    Refused {
        /// Name of the key that was tried.
        id: String,
    },
    /// The bytes are no sealed value.
    #[error("a sealed value cannot be read: {0}")]
    Malformed(#[from] MalformedEnvelope),
    /// What was sealed is not text.
    #[error("a sealed value is not text")]
    NotText,
}
