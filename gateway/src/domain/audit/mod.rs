//! Audit records and the hash chain they form.
//!
//! Each organization has one chain for each writer epoch (one process's
//! lifetime): no replica waits for another, and every chain verifies by itself.
//!
//! - [`Entry`]: what is to be recorded. [`Head::seal`] makes it the next [`Record`] of a chain.
//! - [`Record::canonical`]: the bytes that are hashed. They are JSON as RFC 8785
//!   has it, so an auditor needs a JSON library and SHA-256, not this program.
//! - [`ChainCheck`]: names every record of a chain that was changed, removed or moved.
//! - [`Checkpoint`]: a signed statement of how far all chains of an organization have come;
//!   [`CheckpointCheck`] verifies them, and [`ChainCheck`] compares the chains with them.
//! - [`ExportCheck`]: verifies an exported record line by line, without any server.
//! - [`Partition`]: what is kept, and removed, together.
//!
//! Personal fields enter the hash as keyed commitments only
//! (HMAC-SHA-256, RFC 2104): once a value and its record's key are erased, the
//! chain still verifies, and nobody can find out the value by trying.

mod action;
mod chain;
mod checkpoint;
mod claims;
mod export;
mod export_check;
mod partition;
mod record;
mod seal;
mod signing;

pub use action::{Action, Outcome, UnknownName};
pub use chain::{ChainCheck, Flaw, Problem};
pub use checkpoint::{ChainHead, ChainState, Checkpoint, Mark, NoMark, Statement};
pub use claims::{CheckpointCheck, CheckpointFlaw, CheckpointProblem, Claim, Claims};
pub use export::{ExportError, ExportFlaw, Finding, Header, Line, Trailer};
pub use export_check::{ExportCheck, ExportReport};
pub use partition::{Month, Partition};
pub use record::{Context, Record};
pub use seal::{CommitmentKey, Entry, GENESIS_HASH, Head, Stamp};
pub use signing::{KeyError, Signature, Signer, VerifyingKeys};

#[cfg(test)]
mod chain_tests;
#[cfg(test)]
mod checkpoint_tests;
