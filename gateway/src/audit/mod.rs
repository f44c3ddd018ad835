//! The record of every privileged act.
//!
//! An act is recorded twice: its intent before it begins, its outcome before the
//! reply. Both are durable when the call returns, so an act that is not in the
//! record did not happen, and one without an outcome is known to be unknown.
//!
//! - [`Recorder`]: what handlers hold.
//! - `writer`: the task behind it, which seals records and commits them in batches.
//! - [`verify`]: reads an organization's chains and names what is wrong with them.

mod error;
mod recorder;
mod verify;
mod writer;

pub use error::AuditError;
pub use recorder::{OpenAct, Recorder};
pub use verify::{Verification, verify};
