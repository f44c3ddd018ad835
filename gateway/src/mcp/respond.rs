//! HTTP answers that carry JSON-RPC.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use serde_json::value::RawValue;

use crate::domain::mcp::{Malformed, REVISIONS, RpcError, code};

const EVENT_STREAM: &str = "text/event-stream";

/// Marks an answer that holds an error, for the metrics.
#[derive(Clone, Copy)]
pub(super) struct Failed;

/// One message.
pub(crate) fn message(text: String) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], text).into_response()
}

/// The result of a request.
pub(super) fn result(id: &RawValue, result: &str) -> Response {
    message(format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#,
        id.get()
    ))
}

/// The error of a request. JSON-RPC says what is wrong with it; HTTP is fine.
pub(super) fn error(id: &RawValue, error: &RpcError) -> Response {
    failed(message(error.response(Some(id))))
}

/// A message was taken over and has no answer.
pub(crate) fn accepted() -> Response {
    StatusCode::ACCEPTED.into_response()
}

/// A body that is no message that may be forwarded.
pub(crate) fn malformed(malformed: &Malformed) -> Response {
    let error = RpcError::from(malformed);
    let mut response = failed(message(error.response(None)));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// A revision that is known but not served (MCP 2026-07-28, "Protocol Version Header").
pub(super) fn unsupported_revision(id: Option<&RawValue>, requested: &str) -> Response {
    let error = RpcError::new(code::UNSUPPORTED_REVISION, "Unsupported protocol version")
        .with_data(json!({ "supported": REVISIONS, "requested": requested }));
    let mut response = failed(message(error.response(id)));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// Messages as they come, as server-sent events.
pub(crate) fn stream(messages: impl Stream<Item = String> + Send + 'static) -> Response {
    events(messages.map(|text| Bytes::from(event(&text))))
}

/// Whether an answer is a stream of events.
pub(super) fn is_stream(answer: &Response) -> bool {
    let content_type = answer.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|found| found == EVENT_STREAM)
}

/// Whole events as they come.
pub(super) fn events(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let events = events.map(Ok::<_, Infallible>);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Body::from_stream(events)).into_response()
}

/// One event; its data gives back the text to the byte (HTML Living Standard, 9.2.6).
pub(super) fn event(text: &str) -> String {
    let mut event = String::with_capacity(text.len() + 32);
    event.push_str("event: message\n");
    for line in text.split('\n') {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event
}

fn failed(mut response: Response) -> Response {
    response.extensions_mut().insert(Failed);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_one_data_line_for_each_line_of_the_text() {
        assert_eq!(
            event("{\n \"a\":1}"),
            "event: message\ndata: {\ndata:  \"a\":1}\n\n"
        );
    }

    #[test]
    fn a_malformed_body_is_a_bad_request_in_http_too() {
        let batch = Malformed::Batch;
        assert_eq!(malformed(&batch).status(), StatusCode::BAD_REQUEST);
    }
}
