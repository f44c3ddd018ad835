//! What the platform asks, on a port of its own: alive, ready, how much, and
//! what the operator wants to know.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::internal::{self, Internal};
use crate::store::Store;
use crate::telemetry::{Metrics, chain};

/// How long the store may take to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What readiness depends on.
#[derive(Clone)]
pub(super) struct Readiness {
    pub(super) store: Arc<dyn Store>,
    pub(super) synced: watch::Receiver<bool>,
    pub(super) metrics: Metrics,
    pub(super) stopping: CancellationToken,
}

/// The answer of `/ready`.
#[derive(Serialize)]
struct Report {
    ready: bool,
    checks: [Check; 3],
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
}

impl Check {
    fn new(name: &'static str, ok: bool, otherwise: &'static str) -> Self {
        let message = (!ok).then_some(otherwise);
        Self { name, ok, message }
    }
}

/// `/live`, `/ready` and `/metrics`, and on a cluster the internal API.
pub(super) fn router(readiness: Readiness, internal: Option<Internal>) -> Router {
    Router::new()
        .route("/live", get(async || "live\n"))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(readiness)
        .merge(internal.map_or_else(Router::new, internal::router))
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, Json<Report>) {
    let checks = [
        Check::new(
            "store",
            answers(&readiness.store).await,
            "the store does not answer",
        ),
        Check::new(
            "tenants",
            *readiness.synced.borrow(),
            "not all organizations have been read yet",
        ),
        Check::new(
            "serving",
            !readiness.stopping.is_cancelled(),
            "shutting down",
        ),
    ];
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Report { ready, checks }))
}

async fn answers(store: &Arc<dyn Store>) -> bool {
    match tokio::time::timeout(PING_TIMEOUT, store.ping()).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(error = chain(&error), "the store does not answer");
            false
        }
        Err(_) => false,
    }
}

async fn metrics(State(readiness): State<Readiness>) -> Response {
    match readiness.metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
