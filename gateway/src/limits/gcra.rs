//! The generic cell rate algorithm (ITU-T I.371, annex A), in whole microseconds.
//!
//! A bucket is one number: the theoretical arrival time, at which it will be
//! full again. Every request moves it by one interval; a request that would move
//! it further ahead than the burst allows is refused. In any time `t`, at most
//! `burst + t / interval` requests pass.
//!
//! `cache/take.lua` says the same in Redis; the contract tests of the caches hold them together.

use std::time::Duration;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    interval: i64,
    burst: u32,
}

impl Rate {
    /// At least one request a minute and a burst of one: the resources allow no less.
    /// The interval is rounded up, so that the rate is never exceeded.
    pub fn new(requests_per_minute: u32, burst: u32) -> Self {
        const MINUTE: i64 = 60_000_000;
        let requests = i64::from(requests_per_minute.max(1));
        Self {
            interval: (MINUTE + requests - 1) / requests,
            burst: burst.max(1),
        }
    }

    /// One of so many equal parts: a bucket that fills so many times as slowly and
    /// holds as much less, but never less than one request.
    pub fn part(self, parts: u32) -> Self {
        let parts = parts.max(1);
        Self {
            interval: self.interval * i64::from(parts),
            burst: (self.burst / parts).max(1),
        }
    }

    /// Microseconds in which the bucket gains one request.
    pub fn interval(self) -> i64 {
        self.interval
    }

    /// Requests that may come at once.
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// Microseconds in which an empty bucket fills.
    pub fn capacity(self) -> i64 {
        self.interval * i64::from(self.burst)
    }

    /// The arrival time after one more request, if there is room for it.
    pub fn take(self, arrival: Option<i64>, now: i64) -> Option<i64> {
        let next = self.bounded(arrival, now) + self.interval;
        (next - now <= self.capacity()).then_some(next)
    }

    /// What is left of a bucket.
    pub fn level(self, arrival: Option<i64>, now: i64) -> Level {
        let ahead = self.bounded(arrival, now) - now;
        let free = self.capacity() - ahead;
        Level {
            limit: self.burst,
            remaining: u32::try_from(free / self.interval).unwrap_or(self.burst),
            reset_after: microseconds(ahead),
            retry_after: microseconds((self.interval - free).max(0)),
        }
    }

    /// The arrival time, never in the past and never further ahead than an empty
    /// bucket. A cache that finds a time beyond it (the clock was set back, the
    /// limit was lowered) keeps this one instead, so that nobody is locked out.
    pub fn bounded(self, arrival: Option<i64>, now: i64) -> i64 {
        arrival.unwrap_or(now).clamp(now, now + self.capacity())
    }
}

/// What is left of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Requests that may come at once.
    pub limit: u32,
    /// Of these, how many may come now.
    pub remaining: u32,
    /// Until the bucket is full.
    pub reset_after: Duration,
    /// Until the next request may come; zero if it may come now.
    pub retry_after: Duration,
}

fn microseconds(number: i64) -> Duration {
    Duration::from_micros(u64::try_from(number).unwrap_or_default())
}

#[cfg(test)]
#[path = "gcra_tests.rs"]
mod tests;
