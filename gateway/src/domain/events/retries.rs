//! When an event is sent again.

use std::borrow::Cow;
use std::time::Duration;

/// Pauses after the first attempt, the second, and so on; about three days in all
/// (Standard Webhooks 1.0, "Retry schedule").
const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(20 * 3600),
    Duration::from_secs(24 * 3600),
];
/// A pause is longer or shorter by up to this part of it, so that what failed
/// together does not come again together.
const JITTER: f64 = 0.2;

/// The pauses between attempts.
#[derive(Clone, Debug)]
pub struct Retries(Cow<'static, [Duration]>);

impl Default for Retries {
    fn default() -> Self {
        Self(Cow::Borrowed(&PAUSES))
    }
}

impl Retries {
    /// Other pauses; one attempt more is made than there are pauses.
    pub fn new(pauses: Vec<Duration>) -> Self {
        Self(Cow::Owned(pauses))
    }

    /// How long to wait after so many failed attempts; nothing when it was the last.
    /// `dice` is a random number from 0 to 1. What the receiver asks for (`Retry-After`)
    /// counts where it is longer, up to the longest pause.
    pub fn pause(&self, attempts: u32, dice: f64, asked_for: Option<Duration>) -> Option<Duration> {
        let index = usize::try_from(attempts.saturating_sub(1)).ok()?;
        let pause = self.0.get(index)?;
        let pause = pause.mul_f64(1.0 - JITTER + 2.0 * JITTER * dice.clamp(0.0, 1.0));
        let longest = self.0.iter().copied().max().unwrap_or_default();
        Some(pause.max(asked_for.unwrap_or_default().min(longest)))
    }
}
