//! `/live`, `/ready` and `/metrics` on the operator's own port.
//!
//! The first word of `/ready` is the operator's state: `waiting` (something
//! that it needs is not there yet, such as the custom resource definitions),
//! `standby` (another replica leads), `leading`, or `broken` (it ran, and
//! something that it needs stays away). `/live` answers as long as the process
//! can: what only a restart mends ends the process by itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// Interruptions of a watch that last longer than this are not normal any more.
const PATIENCE: Duration = Duration::from_secs(30);
/// Without a further error for this long, a watch works: pauses between tries are shorter.
const RECOVERED: Duration = Duration::from_secs(90);

/// How far the operator is; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<Mutex<Observed>>);

#[derive(Debug, Default)]
struct Observed {
    /// What the operator waits for, and what would end the wait.
    waits: BTreeMap<&'static str, String>,
    /// Watches that were interrupted, by kind.
    interruptions: BTreeMap<&'static str, Interruption>,
    leads: bool,
}

#[derive(Debug)]
struct Interruption {
    since: Instant,
    last: Instant,
    why: String,
}

/// What `/ready` says.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    state: &'static str,
    reasons: Vec<String>,
}

impl Readiness {
    /// States what the operator waits for, and what would end the wait.
    pub(crate) fn wait_for(&self, what: &'static str, why: impl Into<String>) {
        self.change(|observed| observed.waits.insert(what, why.into()));
    }

    /// Ends a wait.
    pub(crate) fn done(&self, what: &'static str) {
        self.change(|observed| observed.waits.remove(what));
    }

    /// Says that this replica leads from now on.
    pub(crate) fn leads(&self) {
        self.change(|observed| observed.leads = true);
    }

    /// A watch was interrupted, or could not be resumed.
    pub(crate) fn watch_failed(&self, kind: &'static str, why: String) {
        self.watch_failed_at(Instant::now(), kind, why);
    }

    fn watch_failed_at(&self, now: Instant, kind: &'static str, why: String) {
        self.change(|observed| {
            let interruption = observed.interruptions.entry(kind).or_insert(Interruption {
                since: now,
                last: now,
                why: String::new(),
            });
            if now.duration_since(interruption.last) > RECOVERED {
                interruption.since = now;
            }
            interruption.last = now;
            interruption.why = why;
        });
    }

    /// A watch told something.
    pub(crate) fn watch_works(&self, kind: &'static str) {
        self.change(|observed| observed.interruptions.remove(kind));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Observed) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn report(&self, now: Instant) -> Report {
        self.change(|observed| {
            if !observed.waits.is_empty() {
                let waits = observed.waits.iter();
                return Report {
                    state: "waiting",
                    reasons: waits.map(|(what, why)| format!("{what}: {why}")).collect(),
                };
            }
            let broken: Vec<_> = observed
                .interruptions
                .iter()
                .filter(|(_, interruption)| interruption.lasts(now))
                .map(|(kind, interruption)| format!("watch of {kind}: {}", interruption.why))
                .collect();
            let state = match (broken.is_empty(), observed.leads) {
                (false, _) => "broken",
                (true, true) => "leading",
                (true, false) => "standby",
            };
            Report {
                state,
                reasons: broken,
            }
        })
    }
}

impl Interruption {
    fn lasts(&self, now: Instant) -> bool {
        let failing = self.last.duration_since(self.since);
        failing > PATIENCE && now.duration_since(self.last) <= RECOVERED
    }
}

impl IntoResponse for Report {
    fn into_response(self) -> Response {
        let lines: String = [self.state.to_owned()]
            .into_iter()
            .chain(self.reasons)
            .map(|line| format!("{line}\n"))
            .collect();
        let status = match self.state {
            "leading" | "standby" => StatusCode::OK,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, lines).into_response()
    }
}

#[derive(Clone)]
struct Admin {
    readiness: Readiness,
    metrics: Metrics,
}

/// Serves until it is dropped.
///
/// # Errors
/// When the address cannot be listened on, or the listener fails.
pub(crate) async fn serve(
    address: SocketAddr,
    readiness: Readiness,
    metrics: Metrics,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(Admin { readiness, metrics });
    let listener = TcpListener::bind(address).await?;
    axum::serve(listener, routes).await
}

async fn live() -> &'static str {
    "ok\n"
}

async fn ready(State(admin): State<Admin>) -> Response {
    admin.readiness.report(Instant::now()).into_response()
}

async fn metrics_text(State(admin): State<Admin>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match admin.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{PATIENCE, RECOVERED, Readiness};

    /// A leader whose watch of Secrets failed at the start and again that long after.
    fn interrupted(again: Duration) -> (Readiness, Instant) {
        let readiness = Readiness::default();
        readiness.leads();
        let start = Instant::now();
        for now in [start, start + again] {
            readiness.watch_failed_at(now, "Secret", "refused".to_owned());
        }
        (readiness, start + again)
    }

    #[test]
    fn what_is_missing_at_the_start_is_named() {
        let readiness = Readiness::default();
        readiness.wait_for("organizations", "install the chart");
        let report = readiness.report(Instant::now());
        assert_eq!(report.state, "waiting");
        assert_eq!(report.reasons, ["organizations: install the chart"]);
    }

    #[test]
    fn a_replica_that_does_not_lead_stands_by() {
        let report = Readiness::default().report(Instant::now());
        assert_eq!(report.state, "standby");
    }

    #[test]
    fn a_short_interruption_is_normal() {
        let (readiness, now) = interrupted(PATIENCE / 2);
        assert_eq!(readiness.report(now).state, "leading");
    }

    #[test]
    fn an_interruption_that_lasts_is_broken_and_says_why() {
        let (readiness, now) = interrupted(PATIENCE * 2);
        let report = readiness.report(now);
        assert_eq!(report.state, "broken");
        assert_eq!(report.reasons, ["watch of Secret: refused"]);
    }

    #[test]
    fn a_watch_that_tells_something_works_again() {
        let (readiness, now) = interrupted(PATIENCE * 2);
        readiness.watch_works("Secret");
        assert_eq!(readiness.report(now).state, "leading");
    }

    #[test]
    fn a_watch_without_further_errors_works_again() {
        let (readiness, now) = interrupted(PATIENCE * 2);
        assert_eq!(readiness.report(now + RECOVERED * 2).state, "leading");
    }
}
