//! What the gateway needs to know of a JSON-RPC message, as spans of its text.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{RpcError, code};
use super::strict;

/// Why a body is not a message that may be forwarded.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Not JSON at all.
    #[error("the body is not JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// JSON, but neither an object nor an array.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// A JSON-RPC batch where there may be none: MCP 2025-06-18 has removed them.
    #[error(
        "batches are accepted in sessions of the revision 2025-03-26 only: send one message a request"
    )]
    Batch,
    /// Two readers may disagree about this key.
    #[error("the key {0:?} stands twice in one object, or differs from another only by case")]
    AmbiguousKey(String),
    /// A key with a control character in it.
    #[error("a key holds a control character")]
    ControlCharacter,
    /// More keys than are compared.
    #[error("an object has more than 1024 keys")]
    TooManyKeys,
    /// JSON-RPC 2.0, section 4: a member is missing or of the wrong type.
    #[error("not a JSON-RPC 2.0 message: {0}")]
    NotAMessage(&'static str),
}

impl From<&Malformed> for RpcError {
    fn from(malformed: &Malformed) -> Self {
        let code = match malformed {
            Malformed::Json(_) => code::PARSE_ERROR,
            _ => code::INVALID_REQUEST,
        };
        Self::new(code, malformed.to_string())
    }
}

/// A message and the spans of it that matter.
#[derive(Debug)]
pub struct Envelope<'a> {
    text: &'a str,
    /// What kind of message it is.
    pub kind: Kind<'a>,
    params: Params<'a>,
}

/// The three kinds of JSON-RPC messages.
#[derive(Debug)]
pub enum Kind<'a> {
    /// Asks for an answer.
    Request {
        /// Method asked for.
        method: Cow<'a, str>,
        /// Id as it was written.
        id: &'a RawValue,
    },
    /// Asks for none.
    Notification {
        /// Method notified of.
        method: Cow<'a, str>,
    },
    /// Answers a request of the server.
    Response {
        /// Id as it was written.
        id: &'a RawValue,
    },
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
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

#[derive(Debug, Default, Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
    #[serde(skip)]
    text: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    #[serde(borrow)]
    progress_token: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Looks at a body.
    ///
    /// # Errors
    /// See [`Malformed`]; it converts to the JSON-RPC error to answer with.
    pub fn peek(body: &'a [u8]) -> Result<Self, Malformed> {
        strict::check(body)?;
        let text = std::str::from_utf8(body)
            .map_err(|_| Malformed::NotAMessage("the body is not UTF-8"))?;
        let wire: Wire<'a> = serde_json::from_str(text)
            .map_err(|_| Malformed::NotAMessage("jsonrpc and method are strings"))?;
        if wire.jsonrpc.as_deref() != Some("2.0") {
            return Err(Malformed::NotAMessage("jsonrpc must be \"2.0\""));
        }
        if wire.id.is_some_and(|id| !is_id(id)) {
            return Err(Malformed::NotAMessage("id must be a string or a number"));
        }
        let answer = wire.result.is_some() || wire.error.is_some();
        let kind = match (wire.method, wire.id, answer) {
            (Some(method), Some(id), false) => Kind::Request { method, id },
            (Some(method), None, false) => Kind::Notification { method },
            (None, Some(id), true) => Kind::Response { id },
            _ => {
                return Err(Malformed::NotAMessage(
                    "either method, or id with result or error",
                ));
            }
        };
        let params = match wire.params {
            Some(params) => Params {
                text: Some(params),
                ..serde_json::from_str(params.get())
                    .map_err(|_| Malformed::NotAMessage("params must be an object"))?
            },
            None => Params::default(),
        };
        Ok(Self { text, kind, params })
    }

    /// The whole message.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// `params` as it was written.
    pub fn params(&self) -> Option<&'a str> {
        self.params.text.map(RawValue::get)
    }

    /// `params.name`, if it is a string.
    pub fn name(&self) -> Option<Cow<'a, str>> {
        string(self.params.name)
    }

    /// `params.uri`, if it is a string.
    pub fn uri(&self) -> Option<Cow<'a, str>> {
        string(self.params.uri)
    }

    /// `params._meta.progressToken` as it was written.
    pub fn progress_token(&self) -> Option<&'a str> {
        let meta: Meta<'a> = serde_json::from_str(self.params.meta?.get()).ok()?;
        meta.progress_token.map(RawValue::get)
    }

    /// Where a part that was borrowed from the message stands in its text.
    pub fn span_of(&self, part: &'a str) -> Range<usize> {
        span(self.text, part)
    }

    /// Where `params.name` stands in the text, quotes included.
    pub fn name_span(&self) -> Option<Range<usize>> {
        self.params.name.map(|raw| span(self.text, raw.get()))
    }

    /// Where `params.uri` stands in the text, quotes included.
    pub fn uri_span(&self) -> Option<Range<usize>> {
        self.params.uri.map(|raw| span(self.text, raw.get()))
    }

    /// Where `id` stands in the text.
    pub fn id_span(&self) -> Option<Range<usize>> {
        match &self.kind {
            Kind::Request { id, .. } | Kind::Response { id } => Some(span(self.text, id.get())),
            Kind::Notification { .. } => None,
        }
    }
}

/// A member that is there even if it is null, which serde's `Option` takes for absent.
fn present<'a, D: serde::Deserializer<'a>>(member: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(member).map(Some)
}

/// Where a part stands in the text it was borrowed from.
pub(super) fn span(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

fn string(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(raw?.get())
        .ok()
        .map(|text| text.0)
}

/// MCP, "Requests": a string or a number, never null.
fn is_id(id: &RawValue) -> bool {
    matches!(id.get().as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9'))
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
