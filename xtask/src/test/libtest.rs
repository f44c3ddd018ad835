//! Reading what Rust's test harness prints.

use std::iter::Sum;
use std::ops::AddAssign;

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut total, one| {
            total += one;
            total
        })
    }
}

/// The counts of a line `test result: ok. 5 passed; 0 failed; …`.
pub(super) fn summary(line: &str) -> Option<Counts> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |what: &str| {
        counts
            .split(';')
            .find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
    };
    Some(Counts {
        passed: count("passed")?,
        failed: count("failed")?,
    })
}

/// The name and outcome of a line `test a::b ... ok`.
pub(super) fn outcome(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.rsplit_once(" ... ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_yields_its_counts() {
        let line = "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 9 filtered out; finished in 0.26s";
        assert_eq!(
            summary(line),
            Some(Counts {
                passed: 5,
                failed: 2
            })
        );
    }

    #[test]
    fn a_test_named_like_a_summary_is_none() {
        assert_eq!(summary("test result_is_kept ... ok"), None);
    }

    #[test]
    fn a_line_of_a_test_yields_name_and_outcome() {
        assert_eq!(outcome("test a::b ... FAILED"), Some(("a::b", "FAILED")));
    }
}
