//! The record of every privileged act.
//!
//! An act is recorded twice: its intent before it begins, its outcome before the
//! reply. Both are durable when the call returns, so an act that is not in the
//! record did not happen, and one without an outcome is known to be unknown. An
//! organization may choose to have its tool and model calls buffered instead:
//! then a crash can lose at most [`MOST_BUFFERED`] records of a process.
//!
//! - [`Recorder`]: what handlers hold.
//! - `writer`, `epochs`: the task behind it, which seals records and commits them in batches.
//! - [`Keeper`]: signs checkpoints, closes the chains of dead writers, removes what need not be kept.
//! - [`Anchors`]: where the last checkpoint is kept besides the database.
//! - [`verify`], [`export`]: reads an organization's record back.

mod anchor;
mod buffer;
mod checkpoint;
mod epochs;
mod error;
mod export;
mod keeper;
mod ledger;
mod outbox;
mod policy;
mod recorder;
mod retention;
mod stamps;
mod submission;
mod verify;
mod writer;

pub use anchor::{AnchorError, Anchors};
pub use buffer::MOST_BUFFERED;
pub use checkpoint::checkpoint;
pub use error::AuditError;
pub use export::export;
pub use keeper::{Keeper, Keeping};
pub use ledger::Ledger;
pub use policy::{Policies, Policy};
pub use recorder::{OpenAct, Recorder};
pub use verify::{Verification, verify};
