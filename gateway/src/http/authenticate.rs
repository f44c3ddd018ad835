//! From a request to a caller that may go on: authenticated, and within its limits.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use agentapi_crds::tenant_config::RequestClass;
use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName};
use uuid::Uuid;

use super::denied::{denied, require};
use super::under_way::hold;
use super::{AppState, ErrorCode, Problem, address, request_id};
use crate::auth::{AuthError, Caller, bearer};
use crate::domain::access::Right;
use crate::domain::audit::Context;
use crate::limits::{Decision, Refusal, UnderWay};
use crate::tenants::Tenant;

/// Longest `User-Agent` that is recorded.
const MAX_USER_AGENT: usize = 256;

/// Who acts, from where, in which request: what records are made with.
#[derive(Clone, Debug)]
pub struct RequestContext(pub Arc<Context>);

/// What stands before one route.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) state: AppState,
    pub(super) right: Right,
    pub(super) class: RequestClass,
}

/// Lets a request on that the gateway has room for, whose caller is known, does not
/// ask too often, and holds the right that the route needs.
pub(super) async fn admit(
    State(gate): State<Gate>,
    path: RawPathParams,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let answer = pass(&gate, path, request, next);
    // Messages of MCP may stream, so each has a deadline of its own.
    if gate.class == RequestClass::Mcp {
        return answer.await;
    }
    let limit = gate.state.request_timeout;
    let in_time = tokio::time::timeout(limit, answer).await;
    in_time.unwrap_or_else(|_| Err(too_slow(limit)))
}

async fn pass(
    Gate {
        state,
        right,
        class,
    }: &Gate,
    path: RawPathParams,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let organization = path
        .iter()
        .find(|(name, _)| *name == "organization")
        .map(|(_, value)| value.to_owned());
    let origin = Origin::of(state, &request);
    let door = state
        .admission
        .enter(request.headers().get(AUTHORIZATION))
        .map_err(|refusal| turned_away(state, refusal))?;
    let caller = match authenticate(state, request.headers(), organization.as_deref()).await {
        Ok(caller) => caller,
        Err(error) => return Err(refused(state, *class, &origin, error, organization).await),
    };
    drop(door);
    let under_way = seat(state, &caller)?;
    let decision = within_rate(state, &caller, *class, 1).await?;
    let context = origin.context(&caller.tenant, &caller.user, caller.api_key);
    require(state, &caller, &context, *right, origin.resource()).await?;
    request.extensions_mut().insert(context);
    request.extensions_mut().insert(caller);
    let method = request.method().clone();
    let mut response = hold(next.run(request).await, &method, under_way);
    for (name, value) in rate_headers(&decision) {
        response.headers_mut().insert(name, value.into());
    }
    Ok(response)
}

async fn authenticate(
    state: &AppState,
    headers: &HeaderMap,
    organization: Option<&str>,
) -> Result<Caller, AuthError> {
    let token = bearer(headers)?;
    state.authenticator.authenticate(token, organization).await
}

/// Counts further MCP messages of a request against the caller's rate.
pub(crate) async fn within_mcp_rate(
    state: &AppState,
    caller: &Caller,
    messages: usize,
) -> Result<(), Problem> {
    let class = RequestClass::Mcp;
    within_rate(state, caller, class, messages).await.map(drop)
}

/// A seat for the caller, among those of their organization.
fn seat(state: &AppState, caller: &Caller) -> Result<UnderWay, Problem> {
    // Whom the reserve is for: people who administer, not the programs that hold their keys.
    let administrator = caller.may(Right::ApiKeysAdminister);
    let cap = caller.tenant.config.concurrency.requests;
    state
        .admission
        .seat(caller.tenant_id(), administrator, cap)
        .map_err(|refusal| turned_away(state, refusal))
}

fn turned_away(state: &AppState, refusal: Refusal) -> Problem {
    let (code, detail) = match refusal {
        Refusal::Cap => {
            state.metrics.capped();
            let detail = "the organization has as many requests under way as it may";
            (ErrorCode::ConcurrencyLimit, detail)
        }
        Refusal::Overload => {
            let detail = "the gateway has as much under way as it can serve";
            (ErrorCode::Overloaded, detail)
        }
    };
    Problem::new(code, detail).retry_after(1)
}

async fn within_rate(
    state: &AppState,
    caller: &Caller,
    class: RequestClass,
    requests: usize,
) -> Result<Decision, Problem> {
    let (tenant, user) = (&caller.tenant, &caller.user);
    let decision = match requests {
        1 => state.limiter.check(tenant, user, class).await,
        _ => {
            state
                .limiter
                .check_times(tenant, user, class, requests)
                .await
        }
    };
    if decision.allowed {
        return Ok(decision);
    }
    state.metrics.limited(class_name(class));
    Err(rate_limited(&decision))
}

/// The answer to a caller who is not let in. Where a caller is known and asks
/// for another organization, their own records it, within their rate.
async fn refused(
    state: &AppState,
    class: RequestClass,
    origin: &Origin,
    error: AuthError,
    organization: Option<String>,
) -> Problem {
    state.metrics.auth_failure(error.reason());
    tracing::info!(reason = error.reason(), "a caller is not let in");
    let problem = refusal(state, &error, &origin.path, organization.as_deref());
    let AuthError::AnotherOrganization(caller) = error else {
        return problem;
    };
    if let Err(limited) = within_rate(state, &caller, class, 1).await {
        return limited;
    }
    denied(
        state,
        &caller,
        &origin.context(&caller.tenant, &caller.user, caller.api_key),
        &origin.path,
        problem,
    )
    .await
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
        AuthError::Store(_) => {
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

fn too_slow(limit: Duration) -> Problem {
    let detail = format!("no answer was ready within {} s", limit.as_secs());
    Problem::new(ErrorCode::Timeout, detail)
}

/// What a request says of itself before anything is known of its caller.
pub(super) struct Origin {
    path: String,
    address: String,
    user_agent: String,
}

impl Origin {
    fn of(state: &AppState, request: &Request) -> Self {
        Self::read(
            state,
            request.extensions(),
            request.headers(),
            request.uri().path(),
        )
    }

    fn read(state: &AppState, extensions: &Extensions, headers: &HeaderMap, path: &str) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        let address =
            peer.map(|peer| address::client(peer.0.ip(), headers, &state.trusted_proxies));
        let agent = headers.get(USER_AGENT);
        let agent = agent
            .and_then(|agent| agent.to_str().ok())
            .unwrap_or_default();
        Self {
            path: path.to_owned(),
            address: address
                .map(|address| address.to_string())
                .unwrap_or_default(),
            user_agent: agent.chars().take(MAX_USER_AGENT).collect(),
        }
    }

    /// As records name it.
    fn resource(&self) -> &str {
        self.path.strip_prefix("/v1/").unwrap_or(&self.path)
    }

    /// Where somebody asks from of whom nothing else is known, as a name to count requests by.
    pub(super) fn stranger(&self) -> String {
        format!("from/{}", self.address)
    }

    /// What records of a user's acts are made with, and by which API key they were done.
    pub(super) fn context(
        &self,
        tenant: &Tenant,
        user: &str,
        api_key: Option<Uuid>,
    ) -> RequestContext {
        RequestContext(Arc::new(Context {
            organization: tenant.config.organization.clone(),
            actor: user.to_owned(),
            api_key,
            request_id: request_id::current(),
            address: self.address.clone(),
            user_agent: self.user_agent.clone(),
        }))
    }
}

impl FromRequestParts<AppState> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let path = parts.uri.path();
        Ok(Self::read(state, &parts.extensions, &parts.headers, path))
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
