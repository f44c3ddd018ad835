//! Events: what the record says, as messages to an organization's event sinks.
//!
//! A message is what Standard Webhooks 1.0 says a webhook is: a JSON document of
//! `type`, `timestamp` and `data`, under three header fields that identify, date and
//! sign it. Its type is the action of the audit record that it tells of.

mod message;
mod retries;
mod selection;
mod signing;

pub use message::{Headers, message};
pub use retries::Retries;
pub use selection::Selection;
pub use signing::{SecretFormatError, SigningSecrets};

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
