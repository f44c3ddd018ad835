//! How many requests may be under way, found by how long work waits for a processor.
//!
//! The signal is the queue's delay, not its length and not the load: how much later
//! than asked a sleeping task runs. As CoDel does it (RFC 8289, 3.2), the *smallest*
//! delay of an interval counts: a burst makes some tasks wait, overload makes all of
//! them wait. While it is above the target the limit falls by a tenth of what is
//! under way; while it is below, the limit grows by its square root.

use std::time::Duration;

/// Below this the limit never falls: work that waits for others, as most requests
/// do, costs no processor.
const LEAST: usize = 64;
/// A delay that is not yet felt: `/live` must answer within 50 ms.
const TARGET: Duration = Duration::from_millis(10);

/// The limit on requests under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pressure {
    limit: usize,
    most: usize,
}

impl Pressure {
    /// Begins with the highest limit.
    pub(super) fn new(most: usize) -> Self {
        Self { limit: most, most }
    }

    /// The limit after an interval whose smallest delay is given, with so many requests under way.
    pub(super) fn after(&mut self, smallest_delay: Duration, under_way: usize) -> usize {
        let next = if smallest_delay > TARGET {
            let tenth_less = |number: usize| number - number.div_ceil(10);
            tenth_less(self.limit.min(under_way))
        } else {
            self.limit + self.limit.isqrt()
        };
        self.limit = next.max(LEAST).min(self.most);
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Duration = Duration::from_millis(1);
    const LATE: Duration = Duration::from_millis(30);

    #[test]
    fn without_delay_the_limit_stays_the_highest() {
        let mut pressure = Pressure::new(1000);
        assert_eq!(pressure.after(CALM, 900), 1000);
    }

    #[test]
    fn under_delay_it_falls_below_what_is_under_way() {
        let mut pressure = Pressure::new(1000);
        assert_eq!(pressure.after(LATE, 500), 450);
        assert_eq!(pressure.after(LATE, 450), 405);
    }

    #[test]
    fn it_never_falls_below_what_waits_for_others_anyway() {
        let mut pressure = Pressure::new(1000);
        for _ in 0..100 {
            pressure.after(LATE, 1);
        }
        assert_eq!(pressure.after(LATE, 1), LEAST);
    }

    #[test]
    fn a_lower_highest_limit_holds() {
        let mut pressure = Pressure::new(10);
        assert_eq!(pressure.after(LATE, 10), 10);
    }

    #[test]
    fn it_recovers_within_seconds_of_calm() {
        let mut pressure = Pressure::new(1000);
        for _ in 0..100 {
            pressure.after(LATE, 64);
        }
        let intervals = (1..).find(|_| pressure.after(CALM, 64) == 1000);
        assert!(
            intervals.is_some_and(|intervals| intervals < 60),
            "{intervals:?}"
        );
    }
}
