//! The messages of one server-sent event stream (HTML Living Standard, 9.2), bounded in size and silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use sse_stream::SseByteStream;
use tokio::time::timeout;

use super::error::UpstreamError;
use crate::domain::mcp::ServerMessage;

/// Why bytes do not become events.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("an event is too large")]
    TooLarge,
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
}

/// All messages up to and with the answer to the request `id`; an error, if
/// the stream ends without it.
pub(super) fn until_answer(
    body: Incoming,
    id: String,
    message_bytes: usize,
    patience: Duration,
) -> impl Stream<Item = Result<String, UpstreamError>> + Send + 'static {
    let messages = messages(body, message_bytes).boxed();
    stream::unfold(Some((messages, id)), move |state| async move {
        let (mut messages, id) = state?;
        let next = match timeout(patience, messages.next()).await {
            Ok(Some(Ok(text))) => check(text, &id),
            Ok(Some(Err(error))) => Err(error),
            Ok(None) => Err(UpstreamError::Interrupted),
            Err(_) => Err(UpstreamError::Timeout(patience)),
        };
        Some(match next {
            Ok((text, true)) => (Ok(text), None),
            Ok((text, false)) => (Ok(text), Some((messages, id))),
            Err(error) => (Err(error), None),
        })
    })
}

/// The message, and whether it is the answer.
fn check(text: String, id: &str) -> Result<(String, bool), UpstreamError> {
    let message = ServerMessage::peek(&text).ok_or(UpstreamError::Invalid(
        "an event does not hold a JSON-RPC message",
    ))?;
    let answer = message.is_answer();
    if answer && !message.answers(id) {
        return Err(UpstreamError::Invalid("the response is to another request"));
    }
    Ok((text, answer))
}

fn messages(
    body: Incoming,
    message_bytes: usize,
) -> impl Stream<Item = Result<String, UpstreamError>> + Send + 'static {
    // Bytes read since the last event: the parser keeps them until the event is whole.
    let pending = Arc::new(AtomicUsize::new(0));
    let counted = {
        let pending = pending.clone();
        BodyDataStream::new(body).map(move |chunk| {
            let chunk: Bytes = chunk.map_err(ReadError::Broken)?;
            let before = pending.fetch_add(chunk.len(), Ordering::Relaxed);
            if before > message_bytes {
                return Err(ReadError::TooLarge);
            }
            Ok(chunk)
        })
    };
    SseByteStream::new(counted).filter_map(move |event| {
        pending.store(0, Ordering::Relaxed);
        let message = match event {
            // Events without data only carry an id or a delay for reconnecting (2025-11-25, "Multiple Connections").
            Ok(event) => event.data.filter(|data| !data.is_empty()).map(Ok),
            Err(error) => Some(Err(classify(&error, message_bytes))),
        };
        let too_large = |text: &String| text.len() > message_bytes;
        let message = message.map(|message| match message {
            Ok(text) if too_large(&text) => Err(UpstreamError::TooLarge(message_bytes)),
            other => other,
        });
        std::future::ready(message)
    })
}

fn classify(error: &sse_stream::Error, message_bytes: usize) -> UpstreamError {
    match error {
        sse_stream::Error::Body(source)
            if matches!(
                source.downcast_ref::<ReadError>(),
                Some(ReadError::TooLarge)
            ) =>
        {
            UpstreamError::TooLarge(message_bytes)
        }
        sse_stream::Error::Body(_) => UpstreamError::Interrupted,
        _ => UpstreamError::Invalid("an event is not UTF-8"),
    }
}
