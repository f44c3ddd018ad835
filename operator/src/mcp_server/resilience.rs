//! Durations of `spec.resilience`, as the gateway counts them.

use std::ops::RangeInclusive;
use std::time::Duration;

use agentapi_crds::duration;
use agentapi_crds::mcp_server::Resilience;
use agentapi_crds::tenant_config::{BreakerConfig, RetriesConfig};

use crate::problem::Problem;

/// What happens when the server is slow or fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) timeout_seconds: u64,
    pub(super) retries: RetriesConfig,
    pub(super) breaker: BreakerConfig,
}

/// Reads the durations; what does not fit is a problem, and zero here.
pub(super) fn check(spec: &Resilience, problems: &mut Vec<Problem>) -> Resolved {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let second = Duration::from_secs(1);
    let mut read = |field, text, range, shown| {
        let read = within(text, range, shown);
        read.unwrap_or_else(|message| {
            problems.push(Problem::invalid(field, message));
            Duration::ZERO
        })
    };
    let timeout = read(
        "spec.resilience.timeout",
        &spec.timeout,
        second..=minutes(10),
        "1s to 10m",
    );
    let backoff = read(
        "spec.resilience.retries.backoff",
        &spec.retries.backoff,
        Duration::from_millis(10)..=minutes(1),
        "10ms to 1m",
    );
    let open_for = read(
        "spec.resilience.breaker.openFor",
        &spec.breaker.open_for,
        second..=minutes(10),
        "1s to 10m",
    );
    Resolved {
        timeout_seconds: timeout.as_secs(),
        retries: RetriesConfig {
            attempts: spec.retries.attempts,
            backoff_milliseconds: u64::try_from(backoff.as_millis()).unwrap_or(u64::MAX),
        },
        breaker: BreakerConfig {
            failures: spec.breaker.failures,
            open_seconds: open_for.as_secs(),
        },
    }
}

fn within(text: &str, range: RangeInclusive<Duration>, shown: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(found) if range.contains(&found) => Ok(found),
        Ok(_) => Err(format!("must be from {shown}")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_resolved() {
        let mut spec = Resilience::default();
        spec.retries.backoff = "250ms".to_owned();
        spec.breaker.open_for = "2m".to_owned();
        let mut problems = vec![];
        let resolved = check(&spec, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(resolved.timeout_seconds, 30);
        assert_eq!(resolved.retries.backoff_milliseconds, 250);
        assert_eq!(resolved.breaker.open_seconds, 120);
    }

    #[test]
    fn each_duration_that_does_not_fit_is_named() {
        let mut spec = Resilience {
            timeout: "11m".to_owned(),
            ..Resilience::default()
        };
        spec.retries.backoff = "1ms".to_owned();
        spec.breaker.open_for = "soon".to_owned();
        let mut problems = vec![];
        check(&spec, &mut problems);
        let fields: Vec<_> = problems
            .iter()
            .map(|problem| problem.field.as_str())
            .collect();
        assert_eq!(
            fields,
            [
                "spec.resilience.timeout",
                "spec.resilience.retries.backoff",
                "spec.resilience.breaker.openFor",
            ]
        );
    }
}
