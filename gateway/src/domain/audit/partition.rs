//! Where records are kept: by how long they are kept, and by month.

use std::fmt;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// A calendar month in UTC, as the number YYYYMM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(u32);

impl Month {
    /// The month of a moment.
    pub fn of(time: Timestamp) -> Self {
        let day = time.to_zoned(TimeZone::UTC).date();
        Self(day.year().unsigned_abs() as u32 * 100 + day.month().unsigned_abs() as u32)
    }

    /// The month of a number such as 202611; `None` if it is none.
    pub fn from_number(number: u32) -> Option<Self> {
        let month = Self(number);
        month.first_day().map(|_| month)
    }

    /// The number, for example 202611.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The month after this one.
    pub fn next(self) -> Self {
        match self.0 % 100 {
            12 => Self(self.0 + 100 - 11),
            _ => Self(self.0 + 1),
        }
    }

    /// The first moment after the month.
    pub fn end(self) -> Timestamp {
        let first = self.next().first_day();
        first
            .and_then(|day| day.to_zoned(TimeZone::UTC).ok())
            .map_or(Timestamp::MAX, |moment| moment.timestamp())
    }

    fn first_day(self) -> Option<Date> {
        let year = i16::try_from(self.0 / 100).ok()?;
        let month = i8::try_from(self.0 % 100).ok()?;
        ((1..=9999).contains(&year) && (1..=12).contains(&month)).then(|| date(year, month, 1))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}-{:02}", self.0 / 100, self.0 % 100)
    }
}

/// What is kept together and removed together: the chains of one month that are
/// kept for the same time. A chain is in one partition from its first record to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// Month of the records.
    pub month: Month,
    /// Days that records are kept after the end of their month.
    pub retention_days: u32,
}

impl Partition {
    /// When its records need not be kept any longer.
    pub fn expires(self) -> Timestamp {
        let hours = i64::from(self.retention_days) * 24;
        self.month
            .end()
            .checked_add(Span::new().hours(hours))
            .unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: u32, retention_days: u32) -> Partition {
        let month = Month::from_number(number).expect("a month");
        Partition {
            month,
            retention_days,
        }
    }

    #[test]
    fn december_is_followed_by_january() {
        let december = Month::from_number(202612).expect("a month");
        assert_eq!(december.next().number(), 202701);
    }

    #[test]
    fn a_month_is_that_of_utc() {
        let last = "2026-11-30T23:59:59.999999Z".parse().expect("a time");
        assert_eq!(Month::of(last).number(), 202611);
    }

    #[test]
    fn a_record_of_the_last_moment_is_kept_for_its_whole_time() {
        let expires = "2026-12-31T00:00:00Z".parse().expect("a time");
        assert_eq!(partition(202611, 30).expires(), expires);
    }

    #[test]
    fn a_number_that_is_no_month_is_refused() {
        for number in [0, 202600, 202613, 99] {
            assert_eq!(Month::from_number(number), None, "{number}");
        }
    }
}
