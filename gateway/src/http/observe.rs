//! What is counted and logged of every request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::AppState;

/// Counts a request under its route, never under its path, and logs one line.
pub(super) async fn middleware(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|route| route.as_str().to_owned());
    let response = next.run(request).await;
    let (route, status, elapsed) = (
        route.as_deref().unwrap_or("unmatched"),
        response.status(),
        started.elapsed(),
    );
    state
        .metrics
        .http_request(route, method.as_str(), status.as_u16(), elapsed);
    tracing::info!(
        route,
        status = status.as_u16(),
        milliseconds = elapsed.as_secs_f64() * 1e3,
        "answered"
    );
    response
}
