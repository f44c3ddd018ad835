//! Rounds in which two ways of doing the same alternate.
//!
//! Other work on the machine slows both ways of a round alike: the median of the
//! paired ratios tells them apart where the rates alone would not.

use std::time::Duration;

/// What each round took.
#[derive(Debug, Default)]
pub(super) struct Rounds(Vec<Round>);

#[derive(Debug)]
struct Round {
    baseline: Duration,
    measured: Duration,
}

impl Rounds {
    /// One more round.
    pub(super) fn add(&mut self, baseline: Duration, measured: Duration) {
        self.0.push(Round { baseline, measured });
    }

    /// How many times as fast as the baseline it was.
    pub(super) fn ratio(&self) -> f64 {
        self.median(|round| round.baseline.as_secs_f64() / round.measured.as_secs_f64())
    }

    /// Operations a second, of `operations` a round.
    pub(super) fn baseline_rate(&self, operations: usize) -> f64 {
        self.median(|round| operations as f64 / round.baseline.as_secs_f64())
    }

    /// Operations a second, of `operations` a round.
    pub(super) fn measured_rate(&self, operations: usize) -> f64 {
        self.median(|round| operations as f64 / round.measured.as_secs_f64())
    }

    fn median(&self, value: impl Fn(&Round) -> f64) -> f64 {
        let mut values: Vec<f64> = self.0.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_that_of_the_median_round() {
        let mut rounds = Rounds::default();
        for (baseline, measured) in [(1, 1), (4, 8), (9, 3)] {
            rounds.add(Duration::from_secs(baseline), Duration::from_secs(measured));
        }
        assert_eq!(rounds.ratio(), 1.0);
    }
}
