//! Batches of messages, which sessions of the revision 2025-03-26 may send
//! (MCP 2025-03-26, Transports). Each item passes everything that a message
//! alone passes, its rate included; one that is malformed refuses them all.

use axum::body::{Body, BodyDataStream};
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::{join_all, ready};
use futures::stream::{self, BoxStream};
use http::StatusCode;
use serde_json::json;

use super::handlers::{Exchange, live, measured};
use super::request::Incoming;
use super::respond;
use crate::domain::mcp::{BATCH_REVISION, Envelope, Kind, Malformed, RpcError, code};
use crate::http::{ErrorCode, Problem, within_mcp_rate};

/// Most messages in one batch.
const MOST: usize = 64;

/// Serves the items of a batch at once, and answers them together.
pub(super) async fn serve(
    exchange: &Exchange,
    incoming: &Incoming,
    items: &[String],
) -> Result<Response, Problem> {
    let Some(id) = &incoming.session else {
        return Ok(respond::malformed(&Malformed::Batch));
    };
    if live(exchange, id).await?.revision != BATCH_REVISION {
        return Ok(respond::malformed(&Malformed::Batch));
    }
    if items.len() > MOST {
        return Err(Problem::new(
            ErrorCode::InvalidRequest,
            format!("a batch may hold {MOST} messages"),
        ));
    }
    let envelopes: Result<Vec<_>, _> = items
        .iter()
        .map(|item| Envelope::peek(item.as_bytes()))
        .collect();
    let envelopes = match envelopes {
        Ok(envelopes) => envelopes,
        Err(malformed) => return Ok(respond::malformed(&malformed)),
    };
    charge(exchange, envelopes.len()).await?;
    let served = envelopes.iter().map(|envelope| async move {
        let answer = measured(exchange, incoming, envelope).await;
        answer.or_else(|problem| refused(exchange, envelope, problem))
    });
    let answers: Result<Vec<_>, _> = join_all(served).await.into_iter().collect();
    Ok(together(answers?).await)
}

/// Counts the items against the caller's rate; the request itself was counted before.
async fn charge(exchange: &Exchange, items: usize) -> Result<(), Problem> {
    match items.saturating_sub(1) {
        0 => Ok(()),
        further => within_mcp_rate(&exchange.state, &exchange.caller, further).await,
    }
}

/// One item's problem, as the others' answers leave room for it. A session that
/// is gone is gone for all of them.
fn refused(
    exchange: &Exchange,
    envelope: &Envelope<'_>,
    problem: Problem,
) -> Result<Response, Problem> {
    if problem.code() == ErrorCode::NotFound {
        return Err(problem);
    }
    let Kind::Request { id, .. } = &envelope.kind else {
        let code = problem.code().name();
        tracing::info!(code, "a message of a batch was not taken over");
        return Ok(respond::accepted());
    };
    let error = RpcError::new(code::INTERNAL_ERROR, problem.detail()).with_data(json!({
        "code": problem.code().name(),
        "retryable": problem.code().retryable(),
        "requestId": exchange.context.request_id,
    }));
    Ok(respond::error(id, &error))
}

/// The answers of all items: nothing, an array, or a stream as soon as one of them streams.
async fn together(answers: Vec<Response>) -> Response {
    let answers = answers
        .into_iter()
        .filter(|answer| answer.status() != StatusCode::ACCEPTED);
    let (streams, messages): (Vec<_>, Vec<_>) = answers.partition(respond::is_stream);
    let messages = join_all(messages.into_iter().map(text)).await;
    if streams.is_empty() {
        return match messages.is_empty() {
            true => respond::accepted(),
            false => respond::message(format!("[{}]", messages.join(","))),
        };
    }
    let whole = stream::iter(messages).map(|text| Bytes::from(respond::event(&text)));
    let mut all: Vec<BoxStream<'static, Bytes>> = vec![whole.boxed()];
    all.extend(streams.into_iter().map(|answer| events(answer.into_body())));
    respond::events(stream::select_all(all))
}

/// The events of a stream that was made here: each part of the body is one.
fn events(body: Body) -> BoxStream<'static, Bytes> {
    let parts: BodyDataStream = body.into_data_stream();
    parts.filter_map(|part| ready(part.ok())).boxed()
}

/// A whole answer that was made here.
async fn text(answer: Response) -> String {
    let parts = answer.into_body().into_data_stream();
    let parts: Vec<Bytes> = parts.filter_map(|part| ready(part.ok())).collect().await;
    String::from_utf8_lossy(&parts.concat()).into_owned()
}
