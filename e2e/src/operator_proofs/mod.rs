//! The operator under crash, fault and drift: the proofs that
//! `cargo xtask test --faults` runs in full, and tier 3 in short.
//!
//! - [`crash`]: killed at every write, and started again.
//! - [`drift`]: every owned object deleted, every owned field changed.
//! - [`faulty`]: an API server that fails, stands still and forgets.
//! - [`fields`]: every field of every resource added, changed, removed and reverted.
//! - [`leaders`]: a leader that wakes up too late.

pub mod crash;
pub mod drift;
pub mod faulty;
pub mod fields;
pub mod leaders;
mod owned_fields;
mod schema;
mod tenant;
