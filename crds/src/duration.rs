//! Durations as the resources write them: `500ms`, `30s`, `30m`, `1h30m`.

use std::time::Duration;

/// Pattern of a duration in the schemas. Its language is exactly what [`parse`] accepts.
pub const PATTERN: &str = r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?([0-9]{1,6}ms)?$";

/// Units in the order in which they may be written, with their milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Most digits of one number.
const MAX_DIGITS: usize = 6;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a duration: write numbers with h, m, s, ms in that order, for example 1h30m or 30s"
)]
pub struct DurationError {
    text: String,
}

/// Reads a duration such as `30m`, `24h` or `1h30m`: at least one number, each
/// of at most six digits, with the units h, m, s, ms in that order and each at most once.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError {
        text: text.to_owned(),
    };
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut milliseconds = 0u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 || digits > MAX_DIGITS {
            return Err(error());
        }
        let (number, after) = rest.split_at(digits);
        let unit_length = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, remainder) = after.split_at(unit_length);
        let (_, scale) = units.find(|(name, _)| *name == unit).ok_or_else(error)?;
        milliseconds += number.parse::<u64>().map_err(|_| error())? * scale;
        rest = remainder;
    }
    if text.is_empty() {
        Err(error())
    } else {
        Ok(Duration::from_millis(milliseconds))
    }
}

#[cfg(test)]
#[path = "duration_tests.rs"]
mod tests;
