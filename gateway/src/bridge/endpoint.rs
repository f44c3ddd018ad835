//! The bridge's MCP endpoint. Its only client is the gateway.

use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use uuid::Uuid;

use super::children::Children;
use crate::auth::bearer;
use crate::domain::mcp::{Envelope, Kind};
use crate::mcp::respond;
use crate::upstream::process::Process;
use crate::upstream::{BridgeVerifier, Call, Reply, SESSION_ID, UpstreamError};

/// Largest message to a child, in bytes; the gateway's own limit is lower.
const REQUEST_BYTES: usize = 64 * 1024 * 1024;

/// The endpoint behind its guard.
pub(super) fn router(verifier: BridgeVerifier, children: Children) -> Router {
    Router::new()
        .route("/mcp", post(message).delete(end))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES))
        .layer(from_fn_with_state(Arc::new(verifier), guard))
        .with_state(children)
}

/// Lets the gateway in, and nobody else.
async fn guard(
    State(verifier): State<Arc<BridgeVerifier>>,
    request: Request,
    next: Next,
) -> Response {
    let verified = bearer(request.headers()).map(|token| verifier.verify(token));
    match verified {
        Ok(Ok(())) => next.run(request).await,
        refused => {
            let reason = match refused {
                Ok(Err(error)) => error.to_string(),
                _ => "there is none".to_owned(),
            };
            tracing::warn!(reason, "a request without the gateway's token was refused");
            let challenge = HeaderValue::from_static("Bearer realm=\"agentapi-bridge\"");
            let headers = [(header::WWW_AUTHENTICATE, challenge)];
            (StatusCode::UNAUTHORIZED, headers).into_response()
        }
    }
}

async fn message(State(children): State<Children>, headers: HeaderMap, body: Bytes) -> Response {
    let envelope = match Envelope::peek(&body) {
        Ok(envelope) => envelope,
        Err(malformed) => return respond::malformed(&malformed),
    };
    let Some(session) = headers.get(SESSION_ID) else {
        return match &envelope.kind {
            Kind::Request { method, id } if method == "initialize" => {
                begin(&children, call(&envelope, id.get())).await
            }
            _ => StatusCode::BAD_REQUEST.into_response(),
        };
    };
    let Some(process) = parse(session).and_then(|id| children.get(id)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match &envelope.kind {
        Kind::Request { id, .. } => {
            let answer = answer(&process, call(&envelope, id.get())).await;
            answer.unwrap_or_else(|error| failed(&error))
        }
        Kind::Notification { .. } | Kind::Response { .. } => {
            match process.send(envelope.text().to_owned()).await {
                Ok(()) => respond::accepted(),
                Err(error) => failed(&error),
            }
        }
    }
}

/// Starts a child and gives it the session, if it answers.
async fn begin(children: &Children, initialize: Call) -> Response {
    let process = match children.start() {
        Some(Ok(process)) => process,
        Some(Err(error)) => return failed(&error),
        None => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    match answer(&process, initialize).await {
        Ok(mut response) => {
            let id = children.keep(process).to_string();
            if let Ok(id) = HeaderValue::from_str(&id) {
                response.headers_mut().insert(SESSION_ID, id);
            }
            response
        }
        // There is no session that could be lost yet.
        Err(UpstreamError::Exited) => {
            tracing::warn!("the server's program ended before it answered initialize");
            StatusCode::BAD_GATEWAY.into_response()
        }
        Err(error) => failed(&error),
    }
}

async fn end(State(children): State<Children>, headers: HeaderMap) -> StatusCode {
    match headers.get(SESSION_ID).map(parse) {
        None => StatusCode::BAD_REQUEST,
        Some(Some(id)) if children.end(id) => StatusCode::NO_CONTENT,
        Some(_) => StatusCode::NOT_FOUND,
    }
}

fn call(envelope: &Envelope<'_>, id: &str) -> Call {
    Call {
        text: envelope.text().to_owned(),
        id: id.to_owned(),
        progress_token: envelope.progress_token().map(str::to_owned),
    }
}

async fn answer(process: &Arc<Process>, call: Call) -> Result<Response, UpstreamError> {
    Ok(match process.call(call).await? {
        Reply::Message(text) => respond::message(text),
        // A stream that breaks off is what the gateway sees when a child ends in a call.
        Reply::Stream(messages) => {
            let whole = messages.take_while(|message| ready(message.is_ok()));
            respond::stream(whole.filter_map(|message| ready(message.ok())))
        }
    })
}

/// A child that has ended is a session that is lost (404); anything else may pass.
fn failed(error: &UpstreamError) -> Response {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "the server's program did not do its part"
    );
    let status = match error {
        UpstreamError::Exited => StatusCode::NOT_FOUND,
        UpstreamError::IdInUse => StatusCode::CONFLICT,
        _ => StatusCode::BAD_GATEWAY,
    };
    status.into_response()
}

fn parse(session: &HeaderValue) -> Option<Uuid> {
    session.to_str().ok()?.parse().ok()
}
