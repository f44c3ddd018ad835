//! What HTTP and JSON-RPC demand of a message, before anybody asks what it means.

use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};

use super::handlers::Exchange;
use super::respond;
use super::scope::Scope;
use crate::domain::mcp::{Envelope, Kind, Malformed, REVISIONS, batch_items};
use crate::http::{ErrorCode, Problem, body};
use crate::upstream::{PROTOCOL_VERSION, SESSION_ID};

/// The first revision without sessions; known by name, not served yet.
const STATELESS_REVISION: &str = "2026-07-28";
/// Both kinds of answers.
const MEDIA_TYPES: [&str; 2] = ["application/json", "text/event-stream"];

/// A request whose headers are in order.
pub(super) struct Incoming {
    body: Bytes,
    revision: Option<String>,
    /// `Mcp-Session-Id`.
    pub(super) session: Option<String>,
}

impl Incoming {
    /// Reads a request.
    pub(super) async fn read(request: Request, exchange: &Exchange) -> Result<Self, Problem> {
        let headers = request.headers();
        accepts_both(headers)?;
        if !body::is_json(text(headers, &header::CONTENT_TYPE)?.unwrap_or_default()) {
            return Err(Problem::new(
                ErrorCode::UnsupportedMediaType,
                "send messages as application/json",
            ));
        }
        let revision = text(headers, &PROTOCOL_VERSION)?.map(str::to_owned);
        let session = session_header(headers)?;
        let bytes = body::read(request, &exchange.state).await?;
        if let Scope::One(server) = &*exchange.scope
            && bytes.len() as u64 > server.config.limits.request_bytes
        {
            return Err(body::too_large(server.config.limits.request_bytes));
        }
        Ok(Self {
            body: bytes,
            revision,
            session,
        })
    }

    /// Looks at the message.
    pub(super) fn peek(&self) -> Result<Envelope<'_>, Malformed> {
        Envelope::peek(&self.body)
    }

    /// Refuses a revision that is not spoken; the stateless one by its own error.
    pub(super) fn refuse_revision(
        &self,
        envelope: &Envelope<'_>,
    ) -> Result<Option<Response>, Problem> {
        match self.revision.as_deref() {
            None => Ok(None),
            Some(known) if REVISIONS.contains(&known) => Ok(None),
            Some(STATELESS_REVISION) => {
                let id = match &envelope.kind {
                    Kind::Request { id, .. } => Some(*id),
                    _ => None,
                };
                Ok(Some(respond::unsupported_revision(id, STATELESS_REVISION)))
            }
            Some(_) => Err(unknown_revision()),
        }
    }

    /// The items of a batch, if the body is one.
    pub(super) fn batch(&self) -> Option<Vec<String>> {
        std::str::from_utf8(&self.body).ok().and_then(batch_items)
    }
}

/// Refuses a revision that is not spoken, where there is no message to answer.
pub(super) fn check_revision(headers: &HeaderMap) -> Result<(), Problem> {
    match text(headers, &PROTOCOL_VERSION)? {
        Some(revision) if !REVISIONS.contains(&revision) => Err(unknown_revision()),
        _ => Ok(()),
    }
}

fn unknown_revision() -> Problem {
    Problem::new(
        ErrorCode::InvalidRequest,
        format!(
            "MCP-Protocol-Version must be one of {}",
            REVISIONS.join(", ")
        ),
    )
}

/// `Mcp-Session-Id`, if there is one.
pub(super) fn session_header(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    Ok(text(headers, &SESSION_ID)?.map(str::to_owned))
}

/// The method as a bounded label.
pub(super) fn method_label(envelope: &Envelope<'_>) -> &'static str {
    const KNOWN: [&str; 12] = [
        "initialize",
        "ping",
        "tools/list",
        "tools/call",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "resources/subscribe",
        "prompts/list",
        "prompts/get",
        "completion/complete",
        "logging/setLevel",
    ];
    match &envelope.kind {
        Kind::Request { method, .. } => KNOWN
            .into_iter()
            .find(|known| known == method)
            .unwrap_or("other"),
        Kind::Notification { .. } => "notification",
        Kind::Response { .. } => "response",
    }
}

/// A field that must not come twice: proxies differ in which one they take.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    let invalid = |what| {
        Problem::new(
            ErrorCode::InvalidRequest,
            format!("the header {name} {what}"),
        )
    };
    if second.is_some() {
        return Err(invalid("stands twice"));
    }
    first
        .map(|value| value.to_str().map_err(|_| invalid("is not text")))
        .transpose()
}

/// Clients must accept both kinds of answers (MCP 2025-11-25, Transports, "Sending Messages to the Server").
fn accepts_both(headers: &HeaderMap) -> Result<(), Problem> {
    let accepted: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .map(str::trim)
        .collect();
    let accepts = |wanted: &str| {
        let (kind, _) = wanted.split_once('/').unwrap_or_default();
        accepted.iter().any(|range| {
            *range == "*/*"
                || range.eq_ignore_ascii_case(wanted)
                || range
                    .strip_suffix("/*")
                    .is_some_and(|range| range.eq_ignore_ascii_case(kind))
        })
    };
    if MEDIA_TYPES.into_iter().all(accepts) {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::NotAcceptable,
        format!("send the header Accept: {}", MEDIA_TYPES.join(", ")),
    ))
}
