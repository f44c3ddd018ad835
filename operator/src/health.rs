//! `/live`, `/ready` and `/metrics` on the operator's own port.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// Why the operator is not ready yet, by what it waits for; empty when it is ready.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Readiness {
    /// States what the operator waits for, and what would end the wait.
    pub(crate) fn wait_for(&self, what: &'static str, why: impl Into<String>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(what, why.into());
    }

    /// Ends a wait.
    pub(crate) fn done(&self, what: &'static str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(what);
    }

    fn waits(&self) -> BTreeMap<&'static str, String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
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
    let waits = admin.readiness.waits();
    if waits.is_empty() {
        return "ok\n".into_response();
    }
    let lines: String = waits
        .iter()
        .map(|(what, why)| format!("{what}: {why}\n"))
        .collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
}

async fn metrics_text(State(admin): State<Admin>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match admin.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
