//! From a request to a caller that may go on: authenticated, and within its limits.

use std::net::SocketAddr;
use std::sync::Arc;

use agentapi_crds::tenant_config::RequestClass;
use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use super::{AppState, ErrorCode, Problem, request_id};
use crate::auth::{AuthError, Caller, bearer};
use crate::domain::audit::Context;
use crate::limits::Decision;

/// Longest `User-Agent` that is recorded.
const MAX_USER_AGENT: usize = 256;

/// Who acts, from where, in which request: what records are made with.
#[derive(Clone, Debug)]
pub struct RequestContext(pub Arc<Context>);

/// Lets a request on whose caller is known and does not ask too often.
pub(super) async fn api(
    state: State<AppState>,
    path: RawPathParams,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    admit(RequestClass::Api, state, path, request, next).await
}

/// As [`api`], counted with MCP messages.
pub(super) async fn mcp(
    state: State<AppState>,
    path: RawPathParams,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    admit(RequestClass::Mcp, state, path, request, next).await
}

async fn admit(
    class: RequestClass,
    State(state): State<AppState>,
    path: RawPathParams,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let organization = path
        .iter()
        .find(|(name, _)| *name == "organization")
        .map(|(_, value)| value.to_owned());
    let caller = authenticate(
        &state,
        request.headers(),
        request.uri().path(),
        organization.as_deref(),
    )
    .await?;
    let decision = state
        .limiter
        .check(&caller.tenant, &caller.user, class)
        .await;
    if !decision.allowed {
        state.metrics.limited(class_name(class));
        return Err(rate_limited(&decision));
    }
    let context = context(&caller, &request);
    request
        .extensions_mut()
        .insert(RequestContext(Arc::new(context)));
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    for (name, value) in rate_headers(&decision) {
        response.headers_mut().insert(name, value.into());
    }
    Ok(response)
}

async fn authenticate(
    state: &AppState,
    headers: &HeaderMap,
    path: &str,
    organization: Option<&str>,
) -> Result<Caller, Problem> {
    let found = match bearer(headers) {
        Ok(token) => state.authenticator.authenticate(token, organization).await,
        Err(error) => Err(error),
    };
    found.map_err(|error| {
        state.metrics.auth_failure(error.reason());
        tracing::info!(reason = error.reason(), "a caller is not let in");
        refusal(state, &error, path, organization)
    })
}

/// 401 with a challenge (RFC 6750, 3; RFC 9728, 5.1), or what fits better.
fn refusal(state: &AppState, error: &AuthError, path: &str, organization: Option<&str>) -> Problem {
    let code = match error {
        AuthError::Suspended => {
            return Problem::new(ErrorCode::OrganizationSuspended, error.to_string());
        }
        AuthError::Keys(_) => {
            return Problem::new(ErrorCode::Unavailable, error.to_string()).retry_after(1);
        }
        // RFC 6750, 3.1: without a token there is nothing to call invalid.
        AuthError::Missing => None,
        _ => Some("invalid_token"),
    };
    let mut challenge = String::from("Bearer realm=\"agentapi\"");
    if let Some(code) = code {
        challenge.push_str(&format!(
            ", error=\"{code}\", error_description=\"{error}\""
        ));
    }
    if organization.is_some() {
        let metadata = format!(
            "{}/.well-known/oauth-protected-resource{path}",
            state.public_url
        );
        challenge.push_str(&format!(", resource_metadata=\"{metadata}\""));
    }
    Problem::new(ErrorCode::Unauthorized, error.to_string()).challenge(&challenge)
}

fn rate_limited(decision: &Decision) -> Problem {
    let seconds = decision
        .retry_after
        .unwrap_or_default()
        .as_secs_f64()
        .ceil()
        .max(1.0) as u64;
    let detail = format!(
        "at most {} requests may come at once: try again in {seconds} s",
        decision.limit
    );
    let mut problem = Problem::new(ErrorCode::RateLimited, detail).retry_after(seconds);
    for (name, value) in rate_headers(decision) {
        problem = problem.header(name, &value.to_string());
    }
    problem
}

fn rate_headers(decision: &Decision) -> [(HeaderName, u64); 3] {
    [
        (
            HeaderName::from_static("ratelimit-limit"),
            decision.limit.into(),
        ),
        (
            HeaderName::from_static("ratelimit-remaining"),
            decision.remaining.into(),
        ),
        (
            HeaderName::from_static("ratelimit-reset"),
            decision.reset_after.as_secs_f64().ceil() as u64,
        ),
    ]
}

fn class_name(class: RequestClass) -> &'static str {
    match class {
        RequestClass::Api => "api",
        RequestClass::Mcp => "mcp",
        RequestClass::Models => "models",
    }
}

fn context(caller: &Caller, request: &Request) -> Context {
    let address = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|peer| peer.0.ip().to_string());
    let agent = request
        .headers()
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default();
    Context {
        organization: caller.tenant.config.organization.clone(),
        actor: caller.user.to_string(),
        request_id: request_id::current(),
        address: address.unwrap_or_default(),
        user_agent: agent.chars().take(MAX_USER_AGENT).collect(),
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(unguarded)
    }
}

impl FromRequestParts<AppState> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(unguarded)
    }
}

/// A route that asks for a caller but is not behind the middleware fails closed.
fn unguarded() -> Problem {
    tracing::error!("a route that needs a caller does not authenticate");
    Problem::new(ErrorCode::Internal, "the route does not authenticate")
}
