//! All servers as one: names lead to servers, lists are merged.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::response::Response;
use futures::future::join_all;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::handlers::Exchange;
use super::live::Live;
use super::relay::Relay;
use super::single::{action, undelivered, withheld};
use super::{errors, respond};
use crate::domain::mcp::{
    Edit, Envelope, Kind, ListKind, client_answer, from_server, splice, split_name, split_uri,
};
use crate::http::{ErrorCode, Problem};
use crate::upstream::{Call, Connection, Operation, Server, UpstreamError};

/// A part of a message that names a thing of one server.
struct Reference<'a> {
    what: &'static str,
    text: Cow<'a, str>,
    span: std::ops::Range<usize>,
}

/// Serves one message of an established session.
pub(super) async fn serve(
    exchange: &Exchange,
    session: &Arc<Live>,
    envelope: &Envelope<'_>,
) -> Result<Response, Problem> {
    match &envelope.kind {
        Kind::Request { method, id } => request(exchange, session, envelope, method, id).await,
        Kind::Notification { method } => notification(exchange, session, envelope, method).await,
        Kind::Response { .. } => to_its_server(exchange, session, envelope).await,
    }
}

async fn request(
    exchange: &Exchange,
    session: &Arc<Live>,
    envelope: &Envelope<'_>,
    method: &str,
    id: &RawValue,
) -> Result<Response, Problem> {
    let request_id = &exchange.context.request_id;
    if let Some(kind) = ListKind::of(method) {
        return list(exchange, session, envelope, kind, id).await;
    }
    let reference = match method {
        "ping" => return Ok(respond::result(id, "{}")),
        "logging/setLevel" => return set_level(exchange, session, envelope, id).await,
        "initialize" => {
            let error = errors::invalid_request("the session is initialized already", request_id);
            return Ok(respond::error(id, &error));
        }
        "tools/call" => named("tool", envelope.name(), envelope.name_span()),
        "prompts/get" => named("prompt", envelope.name(), envelope.name_span()),
        "resources/read" => named("resource", envelope.uri(), envelope.uri_span()),
        "completion/complete" => completed(envelope),
        _ => return Ok(respond::error(id, &errors::no_method(method, request_id))),
    };
    let Some(reference) = reference else {
        let error = errors::invalid_params("params do not name what is asked for", request_id);
        return Ok(respond::error(id, &error));
    };
    let Some((server, own)) = find(exchange, &reference) else {
        let error = errors::unknown(reference.what, &reference.text, request_id);
        return Ok(respond::error(id, &error));
    };
    if reference.what == "tool" && !server.offers(own) {
        // The name as the caller knows it: the answer is the one to a tool that does not exist.
        return withheld(exchange, &server, own, &reference.text, id).await;
    }
    let connection = match session.upstreams.with(&server).await {
        Ok(connection) => connection,
        Err(error) => {
            let error = errors::upstream(&error, &server, exchange);
            return Ok(respond::error(id, &error));
        }
    };
    let edit = Edit::string(reference.span.clone(), own);
    let name = server.name().to_owned();
    let relay = Relay {
        exchange: exchange.clone(),
        session: session.clone(),
        connection,
        call: Call {
            text: splice(envelope.text(), &[edit]),
            id: id.get().to_owned(),
            progress_token: envelope.progress_token().map(str::to_owned),
        },
        operation: Operation::of(method),
        rewrite: Arc::new(move |text| from_server(text, &name)),
    };
    match action(method) {
        Some(action) => relay.act(action, own).await,
        None => relay.pass().await,
    }
}

fn named<'a>(
    what: &'static str,
    text: Option<Cow<'a, str>>,
    span: Option<std::ops::Range<usize>>,
) -> Option<Reference<'a>> {
    Some(Reference {
        what,
        text: text?,
        span: span?,
    })
}

/// `completion/complete` names a prompt, or a resource template.
fn completed<'a>(envelope: &Envelope<'a>) -> Option<Reference<'a>> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow, rename = "ref")]
        reference: Completed<'a>,
    }
    #[derive(Deserialize)]
    struct Completed<'a> {
        #[serde(borrow)]
        name: Option<&'a RawValue>,
        #[serde(borrow)]
        uri: Option<&'a RawValue>,
    }
    let params: Params<'a> = serde_json::from_str(envelope.params()?).ok()?;
    let (what, raw) = match (params.reference.name, params.reference.uri) {
        (Some(name), None) => ("prompt", name),
        (None, Some(uri)) => ("resource", uri),
        _ => return None,
    };
    let text: String = serde_json::from_str(raw.get()).ok()?;
    Some(Reference {
        what,
        text: text.into(),
        span: envelope.span_of(raw.get()),
    })
}

/// The server that a federated name belongs to, and the name there.
fn find<'r>(exchange: &Exchange, reference: &'r Reference<'_>) -> Option<(Arc<Server>, &'r str)> {
    let servers = &exchange.servers;
    if reference.what == "resource" {
        let (server, own) = split_uri(&reference.text)?;
        return Some((servers.get(server)?.clone(), own));
    }
    let (prefix, own) = split_name(&reference.text)?;
    servers
        .by_prefix(prefix)
        .map(|server| (server.clone(), own))
}

async fn list(
    exchange: &Exchange,
    session: &Arc<Live>,
    envelope: &Envelope<'_>,
    kind: ListKind,
    id: &RawValue,
) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    struct Params {
        cursor: Option<serde_json::Value>,
    }
    let params = envelope.params().map(serde_json::from_str::<Params>);
    if let Some(Ok(Params { cursor: Some(_) })) = params {
        let message = "params.cursor was not given out here: merged lists have one page";
        let error = errors::invalid_params(message, &exchange.context.request_id);
        return Ok(respond::error(id, &error));
    }
    let merged = exchange.state.mcp.lists.merged(exchange, session, kind);
    Ok(respond::result(id, &merged.await))
}

/// Sets the level at every server that logs, as far as it is connected or can be.
async fn set_level(
    exchange: &Exchange,
    session: &Arc<Live>,
    envelope: &Envelope<'_>,
    id: &RawValue,
) -> Result<Response, Problem> {
    let servers = exchange.servers.iter().filter(|server| {
        let capabilities = server.capabilities();
        capabilities.is_some_and(|capabilities| capabilities.get("logging").is_some())
    });
    let params = envelope.params().unwrap_or("{}");
    let set = servers.map(|server| async move {
        let connection = session.upstreams.with(server).await?;
        let call = own_call("logging/setLevel", params);
        let replied = connection
            .call(Operation::Read, call, &CancellationToken::new())
            .await?;
        replied.response().await
    });
    for set in join_all(set).await {
        if let Err(error) = set {
            tracing::warn!(%error, "a server was not told the log level");
        }
    }
    Ok(respond::result(id, "{}"))
}

/// A request of the gateway's own, whose id no client uses.
pub(super) fn own_call(method: &str, params: &str) -> Call {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = format!("\"agentapi-{}\"", NEXT.fetch_add(1, Ordering::Relaxed));
    Call {
        text: format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#),
        id,
        progress_token: None,
    }
}

async fn notification(
    exchange: &Exchange,
    session: &Arc<Live>,
    envelope: &Envelope<'_>,
    method: &str,
) -> Result<Response, Problem> {
    match method {
        // Each server was told when it was connected to.
        "notifications/initialized" => Ok(respond::accepted()),
        "notifications/progress" => to_its_server(exchange, session, envelope).await,
        "notifications/cancelled" => {
            let told = match cancelled(session, envelope) {
                Some(connection) => vec![connection],
                // Another replica may have the call; servers ignore what they do not know.
                None => {
                    let servers = exchange.servers.iter();
                    session.upstreams.all_existing(servers).await
                }
            };
            notify_all(&told, envelope.text()).await;
            Ok(respond::accepted())
        }
        "notifications/roots/list_changed" => {
            notify_all(&session.upstreams.open_now(), envelope.text()).await;
            Ok(respond::accepted())
        }
        _ => Err(Problem::new(
            ErrorCode::NotSupported,
            format!("the notification {method} cannot be carried to all servers at once"),
        )),
    }
}

/// Gives up the call that a cancellation names; the connection it runs on, if
/// this process has it.
pub(super) fn cancelled(session: &Live, envelope: &Envelope<'_>) -> Option<Arc<Connection>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'a> {
        #[serde(borrow)]
        request_id: &'a RawValue,
    }
    let params: Params<'_> = serde_json::from_str(envelope.params()?).ok()?;
    session.calls.cancel(params.request_id.get())
}

async fn notify_all(connections: &[Arc<Connection>], text: &str) {
    let notified = connections.iter().map(|connection| async move {
        if let Err(error) = connection.send(text.to_owned()).await {
            let server = connection.server().name();
            tracing::debug!(server, %error, "a notification was not delivered");
        }
    });
    join_all(notified).await;
}

/// Brings what answers a request of a server to that server.
async fn to_its_server(
    exchange: &Exchange,
    session: &Arc<Live>,
    envelope: &Envelope<'_>,
) -> Result<Response, Problem> {
    let unknown = || {
        Problem::new(
            ErrorCode::InvalidRequest,
            "the message answers no request of a server",
        )
    };
    let (name, text) = client_answer(envelope).ok_or_else(unknown)?;
    let server = exchange.servers.get(&name).ok_or_else(unknown)?;
    let sent = async {
        let connection = session.upstreams.existing(server).await?;
        connection.send(text).await
    };
    match sent.await {
        Ok(()) => Ok(respond::accepted()),
        Err(UpstreamError::SessionLost) => Err(unknown()),
        Err(error) => Err(undelivered(&error, server, exchange)),
    }
}
