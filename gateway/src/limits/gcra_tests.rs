//! The promise of the algorithm, for arbitrary rates and arrivals.

use proptest::prelude::*;

use super::*;

/// The times at which requests pass, of those that come at `times`.
fn passed(rate: Rate, times: &[i64]) -> Vec<i64> {
    let mut arrival = None;
    times
        .iter()
        .copied()
        .filter(|now| match rate.take(arrival, *now) {
            Some(next) => {
                arrival = Some(next);
                true
            }
            None => false,
        })
        .collect()
}

fn arrivals() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0i64..2_000_000, 1..200).prop_map(|gaps| {
        gaps.into_iter()
            .scan(1_790_000_000_000_000, |now, gap| {
                *now += gap;
                Some(*now)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn in_any_window_at_most_burst_and_rate_pass(
        requests_per_minute in 1u32..20_000, burst in 1u32..20, times in arrivals(),
    ) {
        let passed = passed(Rate::new(requests_per_minute, burst), &times);
        for (first, start) in passed.iter().enumerate() {
            for (last, end) in passed.iter().enumerate().skip(first) {
                let most = f64::from(burst) + (end - start) as f64 * f64::from(requests_per_minute) / 60e6;
                let passed = (last - first + 1) as f64;
                prop_assert!(passed <= most + 1e-6, "{passed} passed in {} µs, at most {most} may", end - start);
            }
        }
    }

    #[test]
    fn a_request_passes_exactly_when_one_remains(
        requests_per_minute in 1u32..20_000, burst in 1u32..20, ahead in -100_000i64..100_000_000,
    ) {
        let (rate, now) = (Rate::new(requests_per_minute, burst), 1_790_000_000_000_000);
        let level = rate.level(Some(now + ahead), now);
        prop_assert_eq!(rate.take(Some(now + ahead), now).is_some(), level.remaining > 0);
        prop_assert_eq!(level.retry_after.is_zero(), level.remaining > 0);
    }

    #[test]
    fn a_refused_request_passes_after_the_time_it_was_told(
        requests_per_minute in 1u32..20_000, burst in 1u32..20,
    ) {
        let (rate, now) = (Rate::new(requests_per_minute, burst), 1_790_000_000_000_000);
        let empty = Some(now + rate.capacity());
        let wait = rate.level(empty, now).retry_after.as_micros() as i64;
        prop_assert!(rate.take(empty, now + wait - 1).is_none());
        prop_assert!(rate.take(empty, now + wait).is_some());
    }
}

#[test]
fn the_whole_burst_may_come_at_once() {
    assert_eq!(passed(Rate::new(60, 10), &[0; 30]).len(), 10);
}

#[test]
fn a_bucket_far_ahead_of_the_clock_is_an_empty_one() {
    let rate = Rate::new(60, 10);
    assert_eq!(
        rate.level(Some(i64::MAX), 0),
        rate.level(Some(rate.capacity()), 0)
    );
}

#[test]
fn parts_together_are_no_more_than_the_whole_and_never_nothing() {
    let whole = Rate::new(60, 10);
    let part = whole.part(3);
    assert_eq!((part.burst(), part.interval()), (3, 3 * whole.interval()));
    assert_eq!(Rate::new(60, 1).part(3).burst(), 1);
    assert_eq!(whole.part(1), whole);
}
