//! The handlers of the MCP endpoints.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use http::StatusCode;
use utoipa::openapi::HttpMethod;
use utoipa::openapi::path::{Operation, PathItem, PathsBuilder};
use utoipa_axum::PathItemExt;
use utoipa_axum::router::UtoipaMethodRouter;

use super::live::Live;
use super::request::{Incoming, check_revision, method_label, session_header};
use super::respond::{self, Failed};
use super::scope::{Scope, Target};
use super::{batch, connect, describe, federated, single};
use crate::auth::Caller;
use crate::domain::audit::{Action, Context, Outcome};
use crate::domain::mcp::{Envelope, Kind};
use crate::http::{AppState, ErrorCode, Problem, RequestContext};
use crate::upstream::Principal;
use crate::user_servers::Reachable;

/// `POST` to an endpoint: one message.
pub(crate) fn receive(path: &'static str) -> UtoipaMethodRouter<AppState> {
    described(path, HttpMethod::Post, describe::message(path), message)
}

/// `DELETE`: ends an MCP session.
pub(crate) fn disconnect(path: &'static str) -> UtoipaMethodRouter<AppState> {
    described(path, HttpMethod::Delete, describe::end(path), end)
}

/// `GET`: would be a stream of the server's own messages.
pub(crate) fn listen(path: &'static str) -> UtoipaMethodRouter<AppState> {
    described(path, HttpMethod::Get, describe::no_stream(path), no_stream)
}

/// A handler with its operation, as the router of described routes takes it.
fn described<T: 'static>(
    path: &'static str,
    method: HttpMethod,
    operation: Operation,
    handler: impl Handler<T, AppState>,
) -> UtoipaMethodRouter<AppState> {
    let router = on(method.to_method_filter(), handler);
    let item = PathItem::new(method, operation);
    let paths = PathsBuilder::new().path(path, item).build();
    (describe::schemas(), paths, router)
}

/// Who asks, and what serving it takes.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) state: AppState,
    pub(super) caller: Caller,
    pub(super) context: Arc<Context>,
    /// The servers that the caller reaches.
    pub(super) servers: Reachable,
    pub(super) scope: Arc<Scope>,
}

impl Exchange {
    async fn new(
        state: AppState,
        caller: Caller,
        context: Arc<Context>,
        target: Target,
    ) -> Result<Self, Problem> {
        let servers = state.user_servers.of(&caller).await?;
        let scope = Arc::new(Scope::resolve(&state, &caller, &servers, target).await?);
        Ok(Self {
            state,
            caller,
            context,
            servers,
            scope,
        })
    }

    /// For whom servers are spoken to.
    pub(super) fn principal(&self) -> Arc<Principal> {
        Arc::new(Principal {
            tenant: self.caller.tenant_id(),
            user: Some(self.caller.user.clone()),
        })
    }
}

/// One message of a client.
async fn message(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    target: Target,
    request: Request,
) -> Result<Response, Problem> {
    let started = Instant::now();
    let exchange = Exchange::new(state, caller, context, target).await?;
    let incoming = Incoming::read(request, &exchange).await?;
    if let Some(items) = incoming.batch() {
        return batch::serve(&exchange, &incoming, &items).await;
    }
    match incoming.peek() {
        Ok(envelope) => measured(&exchange, &incoming, &envelope).await,
        Err(malformed) => {
            let took = started.elapsed();
            exchange
                .state
                .metrics
                .mcp_call("malformed", "failure", took);
            Ok(respond::malformed(&malformed))
        }
    }
}

/// Serves one message, and counts how it ended.
pub(super) async fn measured(
    exchange: &Exchange,
    incoming: &Incoming,
    envelope: &Envelope<'_>,
) -> Result<Response, Problem> {
    let started = Instant::now();
    let answered = serve(exchange, incoming, envelope).await;
    let failed = answered.as_ref().map_or(true, |response| {
        response.extensions().get::<Failed>().is_some()
    });
    let outcome = if failed { "failure" } else { "success" };
    let metrics = &exchange.state.metrics;
    metrics.mcp_call(method_label(envelope), outcome, started.elapsed());
    answered
}

async fn serve(
    exchange: &Exchange,
    incoming: &Incoming,
    envelope: &Envelope<'_>,
) -> Result<Response, Problem> {
    if let Some(refusal) = incoming.refuse_revision(envelope)? {
        return Ok(refusal);
    }
    let Some(session) = &incoming.session else {
        return match &envelope.kind {
            Kind::Request { method, .. } if method == "initialize" => {
                connect::initialize(exchange, envelope).await
            }
            _ => Err(Problem::new(
                ErrorCode::InvalidRequest,
                "the header Mcp-Session-Id is missing: begin with initialize",
            )),
        };
    };
    let session = live(exchange, session).await?;
    match &*exchange.scope {
        Scope::One(server) => single::serve(exchange, &session, server, envelope).await,
        Scope::All | Scope::Session(_) => federated::serve(exchange, &session, envelope).await,
    }
}

/// Ends a session (MCP 2025-11-25, Transports, "Session Management").
async fn end(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    target: Target,
    request: Request,
) -> Result<Response, Problem> {
    let exchange = Exchange::new(state, caller, context, target).await?;
    check_revision(request.headers())?;
    let id = session_header(request.headers())?.ok_or_else(|| {
        Problem::new(
            ErrorCode::InvalidRequest,
            "the header Mcp-Session-Id is missing",
        )
    })?;
    let session = live(&exchange, &id).await?;
    let tenant = exchange.caller.tenant_id();
    let recorder = &exchange.state.recorder;
    let resource = exchange.scope.resource();
    let act = recorder
        .intent(tenant, &exchange.context, Action::McpDisconnect, resource)
        .await?;
    let upstreams = session
        .upstreams
        .all_existing(exchange.servers.iter())
        .await;
    match exchange
        .state
        .mcp
        .live
        .end(&exchange.caller, &session)
        .await
    {
        Ok(ended) => {
            act.finish(Outcome::Success, None).await?;
            tokio::spawn(async move {
                for upstream in upstreams {
                    if let Err(error) = upstream.end().await {
                        let server = upstream.server().name();
                        tracing::debug!(server, %error, "an upstream session did not end cleanly");
                    }
                }
            });
            if ended {
                Ok(StatusCode::NO_CONTENT.into_response())
            } else {
                Err(Problem::not_found())
            }
        }
        Err(error) => {
            let problem = Problem::from(error);
            act.finish(Outcome::Failure, Some(problem.code().name()))
                .await?;
            Err(problem)
        }
    }
}

/// No stream is offered outside of answers, as the specification permits.
async fn no_stream() -> Problem {
    Problem::new(
        ErrorCode::MethodNotAllowed,
        "no event stream is offered here: send messages with POST",
    )
    .allow("POST, DELETE")
}

/// The caller's session.
pub(super) async fn live(exchange: &Exchange, id: &str) -> Result<Arc<Live>, Problem> {
    let live = &exchange.state.mcp.live;
    let found = live.get(exchange, id).await?;
    found.ok_or_else(Problem::not_found)
}
