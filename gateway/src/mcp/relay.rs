//! Brings an upstream's answer to the client, and writes the record of it.
//!
//! Messages on the way pass as they come. The answer itself is released when
//! its outcome is on the record. All of this runs in a task of its own: a client
//! that goes away does not cancel the call (MCP 2025-11-25, Transports), and
//! what came of it is recorded all the same.

use std::sync::Arc;
use std::time::Instant;

use axum::response::Response;
use futures::{StreamExt, stream};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tracing::Instrument;

use super::handlers::Exchange;
use super::in_flight::Ticket;
use super::live::Live;
use super::{errors, respond};
use crate::audit::OpenAct;
use crate::domain::audit::{Action, Outcome};
use crate::domain::mcp::{RpcError, ServerKind, ServerMessage};
use crate::http::{ErrorCode, Problem};
use crate::upstream::{Call, Connection, Messages, Operation, Reply, UpstreamError};

/// Messages that may wait for the client to read them.
const QUEUE: usize = 16;
/// Longest name of a tool, prompt or resource that is recorded, in characters.
const MAX_RESOURCE: usize = 512;

/// How messages change between server and client.
pub(super) type Rewrite = Arc<dyn Fn(String) -> String + Send + Sync>;

/// A request of the client on its way to one server.
pub(super) struct Relay {
    pub(super) exchange: Exchange,
    pub(super) session: Arc<Live>,
    pub(super) connection: Arc<Connection>,
    pub(super) call: Call,
    pub(super) operation: Operation,
    pub(super) rewrite: Rewrite,
}

impl Relay {
    /// Sends the request and answers the client; nothing is recorded.
    pub(super) async fn pass(self) -> Result<Response, Problem> {
        self.run(None).await
    }

    /// Sends the request as an act: its intent is on the record before the
    /// server sees it, its outcome before the client sees the answer.
    pub(super) async fn act(self, action: Action, name: &str) -> Result<Response, Problem> {
        let Exchange {
            state,
            caller,
            context,
            ..
        } = &self.exchange;
        let resource = resource(self.connection.server().name(), name);
        let act = state
            .recorder
            .intent(caller.tenant_id(), context, action, resource)
            .await?;
        self.run(Some(act)).await
    }

    async fn run(self, act: Option<OpenAct>) -> Result<Response, Problem> {
        let ticket = self.session.calls.begin(&self.call.id, &self.connection);
        let work = self.forward(act, ticket).in_current_span();
        tokio::spawn(work).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a call panicked");
            Err(Problem::new(ErrorCode::Internal, "the gateway failed"))
        })
    }

    async fn forward(self, act: Option<OpenAct>, ticket: Ticket) -> Result<Response, Problem> {
        let started = Instant::now();
        let id = self.call.id.clone();
        let call = self.call.clone();
        match self
            .connection
            .call(self.operation, call, &ticket.cancelled)
            .await
        {
            Ok(Reply::Stream(messages)) => {
                let (sender, receiver) = mpsc::channel(QUEUE);
                let pump = async move {
                    self.pump(messages, id, act, started, sender).await;
                    drop(ticket);
                };
                tokio::spawn(pump.in_current_span());
                Ok(respond::stream(ReceiverStream::new(receiver)))
            }
            Ok(Reply::Message(text)) => {
                let text = (self.rewrite)(text);
                self.settle(act, &outcome(&text), started).await?;
                Ok(respond::message(text))
            }
            Err(UpstreamError::SessionLost) if self.is_single() => {
                let lost = (Outcome::Failure, Some(UpstreamError::SessionLost.code()));
                self.settle(act, &lost, started).await?;
                self.end_session().await
            }
            Err(error) => {
                self.settle(act, &(Outcome::Failure, Some(error.code())), started)
                    .await?;
                Ok(match error {
                    UpstreamError::Cancelled => respond::stream(stream::empty()),
                    error => respond::message(self.failure(&error, &id)),
                })
            }
        }
    }

    async fn pump(
        self,
        mut messages: Messages,
        id: String,
        mut act: Option<OpenAct>,
        started: Instant,
        client: mpsc::Sender<String>,
    ) {
        while let Some(next) = messages.next().await {
            let (text, outcome) = match next {
                // Nobody expects an answer (MCP 2025-11-25, "Cancellation").
                Err(UpstreamError::Cancelled) => {
                    let outcome = (Outcome::Failure, Some(UpstreamError::Cancelled.code()));
                    if self.settle(act.take(), &outcome, started).await.is_err() {
                        tracing::error!("the end of a cancelled call is not on the record");
                    }
                    return;
                }
                Ok(text) => {
                    let text = (self.rewrite)(text);
                    self.notice(&text).await;
                    let is_answer =
                        ServerMessage::peek(&text).is_some_and(|message| message.is_answer());
                    let outcome = is_answer.then(|| outcome(&text));
                    (text, outcome)
                }
                Err(error) => {
                    let outcome = (Outcome::Failure, Some(error.code()));
                    (self.failure(&error, &id), Some(outcome))
                }
            };
            let text = match outcome {
                None => text,
                Some(outcome) => match self.settle(act.take(), &outcome, started).await {
                    Ok(()) => text,
                    Err(_) => {
                        let error = errors::not_recorded(&self.exchange.context.request_id);
                        with_id(&error, &id)
                    }
                },
            };
            // Fails if the client has gone; the call goes on for the record.
            let _ = client.send(text).await;
        }
    }

    /// Records how the act ended.
    async fn settle(
        &self,
        act: Option<OpenAct>,
        (outcome, reason): &(Outcome, Option<&'static str>),
        started: Instant,
    ) -> Result<(), Problem> {
        let label = reason.unwrap_or("success");
        let metrics = &self.exchange.state.metrics;
        metrics.upstream(self.operation.name(), label, started.elapsed());
        match act {
            Some(act) => Ok(act.finish(*outcome, *reason).await?),
            None => Ok(()),
        }
    }

    /// What the server says of its lists makes the cached ones old.
    async fn notice(&self, text: &str) {
        let Some(message) = ServerMessage::peek(text) else {
            return;
        };
        if let ServerKind::Notification { method, .. } = &message.kind
            && method.ends_with("/list_changed")
        {
            let tenant = self.exchange.caller.tenant_id();
            self.exchange.state.mcp.lists.forget(tenant);
        }
    }

    fn failure(&self, error: &UpstreamError, id: &str) -> String {
        if matches!(error, UpstreamError::SessionLost | UpstreamError::Exited) {
            self.session.upstreams.lost(&self.connection);
        }
        with_id(
            &errors::upstream(error, self.connection.server(), &self.exchange),
            id,
        )
    }

    fn is_single(&self) -> bool {
        matches!(*self.exchange.scope, super::scope::Scope::One(_))
    }

    /// On one server's own endpoint a session is the server's session: it is lost with it.
    async fn end_session(&self) -> Result<Response, Problem> {
        let live = &self.exchange.state.mcp.live;
        live.end(&self.exchange.caller, &self.session).await?;
        Err(Problem::not_found())
    }
}

/// The error response to a request whose id is at hand as text.
fn with_id(error: &RpcError, id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#,
        serde_json::json!(error)
    )
}

/// How a call ended, judged by its answer.
fn outcome(text: &str) -> (Outcome, Option<&'static str>) {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ToolResult {
        #[serde(default)]
        is_error: bool,
    }
    match ServerMessage::peek(text).map(|message| message.kind) {
        Some(ServerKind::Result { result, .. }) => {
            let failed =
                serde_json::from_str::<ToolResult>(result).is_ok_and(|result| result.is_error);
            if failed {
                (Outcome::Failure, Some("tool_error"))
            } else {
                (Outcome::Success, None)
            }
        }
        _ => (Outcome::Failure, Some("rpc_error")),
    }
}

/// What the record calls a thing of a server. Names are the client's words:
/// bounded, and without characters that a log or a database stumbles over.
pub(super) fn resource(server: &str, name: &str) -> String {
    let shown = name
        .chars()
        .take(MAX_RESOURCE)
        .map(|character| {
            if character.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                character
            }
        })
        .collect::<String>();
    format!("{server}/{shown}")
}
