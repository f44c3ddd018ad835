//! `initialize`: how a session begins (MCP 2025-11-25, Lifecycle).

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use futures::future::join_all;
use http::HeaderValue;
use serde_json::value::RawValue;
use tokio::time::timeout;
use uuid::Uuid;

use super::handlers::Exchange;
use super::live::Live;
use super::scope::Scope;
use super::{errors, respond};
use crate::audit::OpenAct;
use crate::domain::audit::{Action, Outcome};
use crate::domain::mcp::{
    Edit, Envelope, InitializeParams, Kind, negotiate, server_result, splice, union,
};
use crate::http::{Problem, prompts};
use crate::store::McpSession;
use crate::upstream::{Call, SESSION_ID, Server};

/// How long a new session waits to hear what servers can do that were never heard before.
const PROBE: Duration = Duration::from_secs(2);

/// Begins a session.
pub(super) async fn initialize(
    exchange: &Exchange,
    envelope: &Envelope<'_>,
) -> Result<Response, Problem> {
    let Kind::Request { id, .. } = &envelope.kind else {
        return Ok(respond::accepted());
    };
    let params = envelope.params().unwrap_or("null");
    let Ok(params) = serde_json::from_str::<InitializeParams>(params) else {
        let message = "params must have protocolVersion, capabilities and clientInfo";
        let error = errors::invalid_params(message, &exchange.context.request_id);
        return Ok(respond::error(id, &error));
    };
    let recorder = &exchange.state.recorder;
    let resource = exchange.scope.resource();
    let tenant = exchange.caller.tenant_id();
    let act = recorder
        .intent(tenant, &exchange.context, Action::McpConnect, resource)
        .await?;
    match &*exchange.scope {
        Scope::One(server) => through(exchange, server, envelope, id, params, act).await,
        Scope::All | Scope::Session(_) => federated(exchange, id, params, act).await,
    }
}

/// One server: the client's own `initialize` reaches it, and its answer the client.
async fn through(
    exchange: &Exchange,
    server: &Arc<Server>,
    envelope: &Envelope<'_>,
    id: &RawValue,
    params: InitializeParams,
    act: OpenAct,
) -> Result<Response, Problem> {
    let call = Call {
        text: with_spoken_revision(envelope, &params),
        id: id.get().to_owned(),
        progress_token: None,
    };
    let connected = server.connect(&exchange.principal(), call).await;
    let (connection, answer) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            act.finish(Outcome::Failure, Some(error.code())).await?;
            let error = errors::upstream(&error, server, exchange);
            return Ok(respond::error(id, &error));
        }
    };
    let live = begin(exchange, params, act, async |live| {
        live.upstreams.adopt(connection).await.is_ok()
    });
    Ok(with_session(respond::message(answer), live.await?.id))
}

/// All servers: the gateway answers for them.
async fn federated(
    exchange: &Exchange,
    id: &RawValue,
    params: InitializeParams,
    act: OpenAct,
) -> Result<Response, Problem> {
    let instructions = match instructions(exchange) {
        Ok(instructions) => instructions,
        Err(problem) => {
            act.finish(Outcome::Failure, Some(problem.code().name()))
                .await?;
            return Err(problem);
        }
    };
    let revision = negotiate(&params.protocol_version);
    let live = begin(exchange, params, act, async |_| true).await?;
    hear(exchange, &live).await;
    let servers = exchange.servers.iter();
    let known: Vec<_> = servers.map(|server| server.capabilities()).collect();
    let capabilities = union(known.iter().map(Option::as_deref));
    let result = server_result(revision, capabilities, instructions.as_deref());
    let answer = respond::result(id, &result.to_string());
    Ok(with_session(answer, live.id))
}

/// Writes the session and the record of it.
async fn begin(
    exchange: &Exchange,
    params: InitializeParams,
    act: OpenAct,
    complete: impl AsyncFnOnce(&Live) -> bool,
) -> Result<Arc<Live>, Problem> {
    let session = McpSession {
        id: Uuid::new_v4(),
        user: exchange.caller.user.to_string(),
        workspace: exchange.scope.workspace().to_owned(),
        scope: exchange.scope.stored(),
        protocol_version: negotiate(&params.protocol_version).to_owned(),
        client_capabilities: params.capabilities,
        client_info: params.client_info,
        expires_at: exchange.scope.expiry(&exchange.caller),
        upstreams: Default::default(),
    };
    let live = &exchange.state.mcp.live;
    let begun = match live.begin(&exchange.caller, session).await {
        Ok(live) if complete(&live).await => Ok(live),
        Ok(_) => Err(Problem::new(
            crate::http::ErrorCode::Unavailable,
            "the session cannot be stored now",
        )),
        Err(error) => Err(Problem::from(error)),
    };
    match &begun {
        Ok(_) => act.finish(Outcome::Success, None).await?,
        Err(problem) => {
            act.finish(Outcome::Failure, Some(problem.code().name()))
                .await?;
        }
    }
    begun
}

/// Connects to servers that this process has never heard, to learn what they can
/// do. Only the first sessions after a start or a change wait for that.
async fn hear(exchange: &Exchange, live: &Live) {
    let probes = exchange.servers.iter().map(|server| {
        server.probe(async {
            // Whoever does not answer shows as a failure in the lists.
            if let Ok(Err(error)) = timeout(PROBE, live.upstreams.with(server)).await {
                let server = server.name();
                tracing::debug!(server, %error, "a server could not be asked what it can do");
            }
        })
    });
    join_all(probes).await;
}

/// The composed prompt, in agent sessions.
fn instructions(exchange: &Exchange) -> Result<Option<String>, Problem> {
    let Scope::Session(session) = &*exchange.scope else {
        return Ok(None);
    };
    let caller = &exchange.caller;
    let variables = prompts::variables(caller, &session.workspace);
    let text = caller.tenant.prompts.compose(&variables)?.text;
    Ok((!text.is_empty()).then_some(text))
}

/// The client's message, asking for a revision that is spoken here.
fn with_spoken_revision(envelope: &Envelope<'_>, params: &InitializeParams) -> String {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Requested<'a> {
        #[serde(borrow)]
        protocol_version: &'a RawValue,
    }
    let spoken = negotiate(&params.protocol_version);
    let raw = envelope
        .params()
        .and_then(|params| serde_json::from_str::<Requested<'_>>(params).ok());
    match raw {
        Some(raw) if spoken != params.protocol_version => {
            let span = envelope.span_of(raw.protocol_version.get());
            splice(envelope.text(), &[Edit::string(span, spoken)])
        }
        _ => envelope.text().to_owned(),
    }
}

fn with_session(mut answer: Response, id: Uuid) -> Response {
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        answer.headers_mut().insert(SESSION_ID, id);
    }
    answer
}
