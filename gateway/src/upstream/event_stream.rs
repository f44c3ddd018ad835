//! The events of one stream (HTML Living Standard, 9.2), bounded in size.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use sse_stream::{Sse, SseByteStream};

use super::error::UpstreamError;

/// Why bytes do not become events.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("an event is too large")]
    TooLarge,
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
}

/// One event; what it does not have was not sent.
#[derive(Debug)]
pub(super) struct Event {
    /// A message. Events without one only carry what is needed to reconnect.
    pub(super) data: Option<String>,
    /// Where the stream goes on after this event.
    pub(super) id: Option<String>,
    /// How long to wait before reconnecting.
    pub(super) retry: Option<Duration>,
}

/// Events as they come; an error is the last item.
pub(super) type Events = BoxStream<'static, Result<Event, UpstreamError>>;

/// The events of a body, none with more than `message_bytes` of data.
pub(super) fn events(body: Incoming, message_bytes: usize) -> Events {
    // Bytes read since the last event: the parser keeps them until the event is whole.
    let pending = Arc::new(AtomicUsize::new(0));
    let counted = counted(body, message_bytes, pending.clone());
    let events = SseByteStream::new(counted).map(move |event| {
        pending.store(0, Ordering::Relaxed);
        let event = event.map_err(|error| classify(&error, message_bytes))?;
        bounded(event, message_bytes)
    });
    events.boxed()
}

fn counted(
    body: Incoming,
    message_bytes: usize,
    pending: Arc<AtomicUsize>,
) -> impl Stream<Item = Result<Bytes, ReadError>> + Send + 'static {
    BodyDataStream::new(body).map(move |chunk| {
        let chunk: Bytes = chunk.map_err(ReadError::Broken)?;
        let before = pending.fetch_add(chunk.len(), Ordering::Relaxed);
        if before > message_bytes {
            return Err(ReadError::TooLarge);
        }
        Ok(chunk)
    })
}

fn bounded(event: Sse, message_bytes: usize) -> Result<Event, UpstreamError> {
    let data = event.data.filter(|data| !data.is_empty());
    if data.as_ref().is_some_and(|data| data.len() > message_bytes) {
        return Err(UpstreamError::TooLarge(message_bytes));
    }
    Ok(Event {
        data,
        id: event.id,
        retry: event.retry.map(Duration::from_millis),
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
