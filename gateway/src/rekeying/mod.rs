//! Keys and what they have sealed, across all tables: whether the ring opens it,
//! and encrypting it anew after a rotation. Both walk every
//! [`SealedColumn`](crate::encryption::SealedColumn), as the worker.

mod check;
mod rewrap;

pub use check::{KeysError, check};
pub use rewrap::{Progress, Rewrapped, UnopenedRow, rewrap};
