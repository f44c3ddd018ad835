//! One server's own endpoint: everything passes as it is, except tools that are withheld.

use std::sync::Arc;

use axum::response::Response;
use serde_json::value::RawValue;

use super::federated::cancelled;
use super::handlers::Exchange;
use super::live::Live;
use super::relay::{Relay, Rewrite, resource};
use super::{errors, respond};
use crate::domain::audit::{Action, Outcome};
use crate::domain::mcp::{
    Edit, Envelope, Kind, ServerKind, ServerMessage, splice, without_withheld,
};
use crate::http::{ErrorCode, Problem};
use crate::upstream::{Call, Operation, Server, UpstreamError};

/// Serves one message of an established session.
pub(super) async fn serve(
    exchange: &Exchange,
    session: &Arc<Live>,
    server: &Arc<Server>,
    envelope: &Envelope<'_>,
) -> Result<Response, Problem> {
    let request_id = &exchange.context.request_id;
    let Kind::Request { method, id } = &envelope.kind else {
        return forward(exchange, session, server, envelope).await;
    };
    let method: &str = method;
    let name = match method {
        "resources/read" => envelope.uri(),
        _ => envelope.name(),
    };
    match (method, &name) {
        ("initialize", _) => {
            let error = errors::invalid_request("the session is initialized already", request_id);
            return Ok(respond::error(id, &error));
        }
        ("tools/call", Some(tool)) if !server.offers(tool) => {
            return withheld(exchange, server, tool, tool, id).await;
        }
        ("tools/call" | "prompts/get" | "resources/read", None) => {
            let error = errors::invalid_params("params.name or params.uri is missing", request_id);
            return Ok(respond::error(id, &error));
        }
        _ => {}
    }
    let connection = match session.upstreams.existing(server).await {
        Ok(connection) => connection,
        Err(UpstreamError::SessionLost) => return lost(exchange, session).await,
        Err(error) => {
            let error = errors::upstream(&error, server, exchange);
            return Ok(respond::error(id, &error));
        }
    };
    let relay = Relay {
        exchange: exchange.clone(),
        session: session.clone(),
        connection,
        call: Call {
            text: envelope.text().to_owned(),
            id: id.get().to_owned(),
            progress_token: envelope.progress_token().map(str::to_owned),
        },
        operation: Operation::of(method),
        rewrite: rewrite(method, server),
    };
    match (action(method), name) {
        (Some(action), Some(name)) => relay.act(action, &name).await,
        _ => relay.pass().await,
    }
}

/// A withheld tool is unknown under the name it was called by; the record says that it was tried.
pub(super) async fn withheld(
    exchange: &Exchange,
    server: &Server,
    tool: &str,
    called: &str,
    id: &RawValue,
) -> Result<Response, Problem> {
    let error = errors::unknown("tool", called, &exchange.context.request_id);
    let resource = resource(server.name(), tool);
    exchange
        .state
        .recorder
        .record(
            exchange.caller.tenant_id(),
            &exchange.context,
            Action::AccessDenied,
            resource,
            Outcome::Denied,
            Some("unknown_tool"),
        )
        .await?;
    Ok(respond::error(id, &error))
}

/// What the record calls a method; nothing if it is no act.
pub(super) fn action(method: &str) -> Option<Action> {
    Some(match method {
        "tools/call" => Action::ToolCall,
        "resources/read" => Action::ResourceRead,
        "prompts/get" => Action::PromptGet,
        _ => return None,
    })
}

/// A notification, or the answer to a request of the server.
async fn forward(
    exchange: &Exchange,
    session: &Arc<Live>,
    server: &Arc<Server>,
    envelope: &Envelope<'_>,
) -> Result<Response, Problem> {
    if let Kind::Notification { method } = &envelope.kind
        && method == "notifications/cancelled"
    {
        // The server hears of it by the client's own message.
        drop(cancelled(session, envelope));
    }
    let sent = async {
        let connection = session.upstreams.existing(server).await?;
        connection.send(envelope.text().to_owned()).await
    };
    match sent.await {
        Ok(()) => Ok(respond::accepted()),
        Err(UpstreamError::SessionLost) => lost(exchange, session).await,
        Err(error) => Err(undelivered(&error, server, exchange)),
    }
}

/// There is no JSON-RPC answer to say it with.
pub(super) fn undelivered(error: &UpstreamError, server: &Server, exchange: &Exchange) -> Problem {
    let error = errors::upstream(error, server, exchange);
    Problem::new(ErrorCode::Unavailable, error.message)
}

/// The server's session is the client's session here, and it is gone.
async fn lost(exchange: &Exchange, session: &Arc<Live>) -> Result<Response, Problem> {
    let live = &exchange.state.mcp.live;
    live.end(&exchange.caller, session).await?;
    Err(Problem::not_found())
}

fn rewrite(method: &str, server: &Arc<Server>) -> Rewrite {
    if method != "tools/list" || !server.withholds() {
        return Arc::new(|text| text);
    }
    let server = server.clone();
    Arc::new(move |text| {
        let Some(message) = ServerMessage::peek(&text) else {
            return text;
        };
        let ServerKind::Result { result, .. } = &message.kind else {
            return text;
        };
        let edit = Edit {
            span: message.span_of(result),
            with: without_withheld(result, |tool| server.offers(tool)),
        };
        splice(&text, &[edit])
    })
}
