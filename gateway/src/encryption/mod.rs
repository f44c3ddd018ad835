//! Secrets at rest: what the database holds of them, and the keys that open it.
//!
//! A secret is kept as a [`Sealed`] value: AES-256-GCM under one key of the ring
//! ([`EncryptionKeys`]), bound to its [`Location`], so that a ciphertext which was
//! moved to another row, column, table or tenant opens no more than a changed one.
//! Nothing here knows a database; randomness is the only thing asked of outside.
//!
//! - [`SealedColumn`]: the one list of columns that hold such values. What is not
//!   in it cannot be sealed, and all that is in it is rewrapped.
//! - `keys`, `text`: the ring, and how it is written in the configuration.
//! - [`KeyList`]: the ring as it is written, for rotation.
//! - `envelope`, `location`: the bytes that are kept, and what they are bound to.

mod columns;
mod envelope;
mod error;
mod keys;
mod location;
mod rotation;
mod text;

pub use columns::SealedColumn;
pub use envelope::{MalformedEnvelope, Sealed};
pub use error::{DecryptError, EncryptError};
pub use keys::{EncryptionKeys, RewrapError};
pub use location::Location;
pub use rotation::KeyList;
pub use text::{KeyProblem, KeyRingError};

#[cfg(test)]
mod encryption_tests;
