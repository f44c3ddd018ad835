//! Pauses that differ from one another, so that many who wait do not ask at once.

use std::time::Duration;

use uuid::Uuid;

/// Between half of a pause and the whole of it, at random.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let random = u32::from(u16::from_be_bytes([
        Uuid::new_v4().as_bytes()[0],
        Uuid::new_v4().as_bytes()[1],
    ]));
    pause / 2 + pause / 2 * random / u32::from(u16::MAX)
}

/// The pause after a number of failures in a row: doubling from `first` up to `longest`, jittered.
pub(super) fn after_failures(first: Duration, longest: Duration, failures: u32) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16));
    jittered(doubled.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_jittered_pause_is_at_least_half_and_at_most_the_whole() {
        for _ in 0..100 {
            let pause = jittered(SECOND);
            assert!((SECOND / 2..=SECOND).contains(&pause), "{pause:?}");
        }
    }

    #[test]
    fn pauses_grow_with_failures_up_to_a_bound() {
        assert!(after_failures(SECOND, 60 * SECOND, 1) <= SECOND);
        assert!(after_failures(SECOND, 60 * SECOND, 5) >= 8 * SECOND);
        assert!(after_failures(SECOND, 60 * SECOND, 99) <= 60 * SECOND);
    }
}
