//! A circuit breaker: after failures in a row a server is left alone for a while,
//! then one operation is let through on trial, and decides.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use agentapi_crds::tenant_config::BreakerConfig;

#[derive(Debug)]
pub(super) struct Breaker {
    failures: u32,
    open_for: Duration,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Operations pass; so many of the last ones have failed in a row.
    Closed { failures: u32 },
    /// None pass before that time.
    Open { until: Instant },
    /// One has passed, on trial.
    HalfOpen,
}

/// The server is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotNow;

/// How an operation that passed has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server did its part.
    Success,
    /// The server did not.
    Failure,
    /// Nothing was learnt of the server.
    Unknown,
}

/// What an operation passed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// One of many.
    Ordinarily,
    /// The one that decides.
    OnTrial,
}

/// What a verdict changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that others see.
    None,
    /// The server is left alone from now on.
    Opened,
    /// The trial has failed: the server is left alone for longer.
    Reopened,
    /// The server is asked again.
    Closed,
}

impl Breaker {
    pub(super) fn new(config: BreakerConfig) -> Self {
        Self {
            failures: config.failures,
            open_for: Duration::from_secs(config.open_seconds),
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    /// Lets an operation pass, unless the server is left alone.
    pub(super) fn admit(&self, now: Instant) -> Result<Passed, NotNow> {
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => Ok(Passed::Ordinarily),
            State::Open { until } if now < until => Err(NotNow),
            State::Open { .. } => {
                *state = State::HalfOpen;
                Ok(Passed::OnTrial)
            }
            State::HalfOpen => Err(NotNow),
        }
    }

    /// Notes how an operation has ended.
    pub(super) fn settle(&self, passed: Passed, verdict: Verdict, now: Instant) -> Change {
        let mut state = self.lock();
        let open = State::Open {
            until: now + self.open_for,
        };
        let (next, change) = match (*state, passed, verdict) {
            (State::Closed { .. }, _, Verdict::Success) => {
                (State::Closed { failures: 0 }, Change::None)
            }
            (State::Closed { failures }, _, Verdict::Failure) if failures + 1 < self.failures => {
                let failures = failures + 1;
                (State::Closed { failures }, Change::None)
            }
            (State::Closed { .. }, _, Verdict::Failure) => (open, Change::Opened),
            (State::HalfOpen, Passed::OnTrial, Verdict::Success) => {
                (State::Closed { failures: 0 }, Change::Closed)
            }
            (State::HalfOpen, Passed::OnTrial, Verdict::Failure) => (open, Change::Reopened),
            // The next one is on trial at once.
            (State::HalfOpen, Passed::OnTrial, Verdict::Unknown) => {
                (State::Open { until: now }, Change::None)
            }
            // Of operations that began before it opened nothing is learnt.
            (same, _, _) => (same, Change::None),
        };
        *state = next;
        change
    }

    /// Whether operations are let through as usual.
    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.lock(), State::Closed { .. })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: BreakerConfig = BreakerConfig {
        failures: 3,
        open_seconds: 30,
    };
    const OPEN_FOR: Duration = Duration::from_secs(30);

    fn after(verdicts: &[Verdict], now: Instant) -> Breaker {
        let breaker = Breaker::new(CONFIG);
        for verdict in verdicts {
            breaker.settle(Passed::Ordinarily, *verdict, now);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        use Verdict::{Failure, Success, Unknown};
        let now = Instant::now();
        for verdicts in [
            &[Failure, Failure][..],
            &[Failure, Failure, Success, Failure, Failure],
            &[Failure, Failure, Unknown],
        ] {
            assert!(after(verdicts, now).is_closed(), "{verdicts:?}");
        }
        let open = after(&[Failure, Unknown, Failure, Failure], now);
        assert_eq!(open.admit(now), Err(NotNow));
    }

    #[test]
    fn one_operation_is_on_trial_when_the_time_is_over() {
        let now = Instant::now();
        let breaker = after(&[Verdict::Failure; 3], now);
        let later = now + OPEN_FOR;
        let earlier = later - Duration::from_secs(1);
        assert_eq!(breaker.admit(earlier), Err(NotNow));
        assert_eq!(breaker.admit(later), Ok(Passed::OnTrial));
        assert_eq!(breaker.admit(later), Err(NotNow));
    }

    #[test]
    fn the_trial_decides() {
        let now = Instant::now();
        let later = now + OPEN_FOR;
        for (verdict, change, then) in [
            (Verdict::Success, Change::Closed, Ok(Passed::Ordinarily)),
            (Verdict::Failure, Change::Reopened, Err(NotNow)),
            (Verdict::Unknown, Change::None, Ok(Passed::OnTrial)),
        ] {
            let breaker = after(&[Verdict::Failure; 3], now);
            assert_eq!(breaker.admit(later), Ok(Passed::OnTrial));
            assert_eq!(breaker.settle(Passed::OnTrial, verdict, later), change);
            assert_eq!(breaker.admit(later), then, "{verdict:?}");
        }
    }

    #[test]
    fn stragglers_do_not_decide() {
        let now = Instant::now();
        let breaker = after(&[Verdict::Failure; 3], now);
        breaker.settle(Passed::Ordinarily, Verdict::Success, now);
        assert_eq!(breaker.admit(now), Err(NotNow));
    }
}
