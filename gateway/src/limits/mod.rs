//! How much a caller may ask for.
//!
//! - `gcra`: the algorithm of rates, pure.
//! - [`Limiter`]: which buckets a request takes from.
//! - [`Shared`]: the buckets of all replicas, and what happens without Redis.
//! - [`Admission`]: how much is under way at one time: each organization's cap, and
//!   what is turned away before the gateway has more than it can serve.

mod admission;
mod counts;
mod gcra;
mod limiter;
mod pressure;
mod seats;
mod shared;

pub use admission::{Admission, Refusal, UnderWay};
pub use counts::{Counts, Held};
pub use gcra::{Level, Rate};
pub use limiter::{Decision, Limiter};
pub use seats::Seat;
pub use shared::Shared;
