//! How often a caller may call.
//!
//! - `gcra`: the algorithm, pure.
//! - [`Limiter`]: which buckets a request takes from, and what happens without Redis.

mod gcra;
mod limiter;

pub use gcra::{Level, Rate};
pub use limiter::{Decision, Limiter};
