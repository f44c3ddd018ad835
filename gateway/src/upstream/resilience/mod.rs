//! What keeps a bad server from costing more than its own answers: a deadline for
//! each operation, retries for idempotent work, and five circuit breakers, as a
//! stack of tower layers.

mod breaker;
mod guard;
mod operation;
mod retry;
mod stack;

pub use operation::Operation;

pub(super) use guard::Outcome;
pub(super) use stack::{Attempt, Stack, stack};
