//! What the gateway needs to know of a message that a server sends.
//!
//! Servers answer much and are asked little: unlike a client's message, it is
//! not checked below its envelope, which serde refuses if it holds a member twice.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::span;

/// A message of a server, and the spans of it that matter.
#[derive(Debug)]
pub struct ServerMessage<'a> {
    text: &'a str,
    /// What kind of message it is.
    pub kind: ServerKind<'a>,
}

/// The kinds of messages that servers send.
#[derive(Debug)]
pub enum ServerKind<'a> {
    /// Answers a request of ours with a result.
    Result {
        /// Id as it was written.
        id: &'a RawValue,
        /// `result` as it was written.
        result: &'a str,
    },
    /// Answers a request of ours with an error; `id` is absent where the server could not read it.
    Error {
        /// Id as it was written.
        id: Option<&'a RawValue>,
        /// `error` as it was written.
        error: &'a str,
    },
    /// Asks the client for something.
    Request {
        /// Method asked for.
        method: Cow<'a, str>,
        /// Id as it was written.
        id: &'a RawValue,
    },
    /// Tells the client something.
    Notification {
        /// Method notified of.
        method: Cow<'a, str>,
        /// `params.progressToken` as it was written.
        progress_token: Option<&'a str>,
    },
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    #[serde(borrow)]
    progress_token: Option<&'a RawValue>,
}

impl<'a> ServerMessage<'a> {
    /// Looks at a message; `None` if it is no JSON-RPC 2.0 message.
    pub fn peek(text: &'a str) -> Option<Self> {
        let wire: Wire<'a> = serde_json::from_str(text).ok()?;
        if wire.jsonrpc != "2.0" {
            return None;
        }
        let kind = match (wire.method, wire.id, wire.result, wire.error) {
            (None, Some(id), Some(result), None) => ServerKind::Result {
                id,
                result: result.get(),
            },
            (None, id, None, Some(error)) => ServerKind::Error {
                id,
                error: error.get(),
            },
            (Some(method), Some(id), None, None) => ServerKind::Request { method, id },
            (Some(method), None, None, None) => ServerKind::Notification {
                method,
                progress_token: wire.params.and_then(progress_token),
            },
            _ => return None,
        };
        Some(Self { text, kind })
    }

    /// Whether the message answers the request with this id, an error without id included:
    /// where it is asked, no other request can be meant.
    pub fn answers(&self, id: &str) -> bool {
        match &self.kind {
            ServerKind::Result { id: found, .. } => same_id(found.get(), id),
            ServerKind::Error { id: found, .. } => {
                found.is_none_or(|found| same_id(found.get(), id))
            }
            ServerKind::Request { .. } | ServerKind::Notification { .. } => false,
        }
    }

    /// Whether the message ends a request.
    pub fn is_answer(&self) -> bool {
        matches!(
            self.kind,
            ServerKind::Result { .. } | ServerKind::Error { .. }
        )
    }

    /// Where a part that was borrowed from the message stands in its text.
    pub fn span_of(&self, part: &'a str) -> Range<usize> {
        span(self.text, part)
    }
}

/// Ids are the same if they are the same string or the same number, however they are escaped.
pub fn same_id(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let value = |id: &str| serde_json::from_str::<serde_json::Value>(id).ok();
    value(one).is_some_and(|one| Some(one) == value(other))
}

fn progress_token(params: &RawValue) -> Option<&str> {
    let params: Params<'_> = serde_json::from_str(params.get()).ok()?;
    params.progress_token.map(RawValue::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_id_however_it_is_escaped() {
        let message =
            ServerMessage::peek(r#"{"jsonrpc":"2.0","id":"a\u0062","result":{}}"#).unwrap();
        assert!(message.answers(r#""ab""#));
        assert!(!message.answers(r#""a""#));
    }

    #[test]
    fn a_number_and_a_string_are_different_ids() {
        let message = ServerMessage::peek(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).unwrap();
        assert!(!message.answers(r#""1""#));
    }

    #[test]
    fn a_progress_notification_shows_whose_it_is() {
        let text = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}"#;
        let ServerKind::Notification { progress_token, .. } =
            ServerMessage::peek(text).unwrap().kind
        else {
            panic!("not taken for a notification");
        };
        assert_eq!(progress_token, Some("\"p\""));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for text in [
            "",
            "garbage",
            "[]",
            r#"{"jsonrpc":"1.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{},"id":2}"#,
        ] {
            assert!(
                ServerMessage::peek(text).is_none(),
                "taken for a message: {text}"
            );
        }
    }
}
