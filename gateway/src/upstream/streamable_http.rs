//! MCP Streamable HTTP towards an upstream (MCP 2025-11-25, Transports), for raw messages.
//!
//! Only what is set here is sent: nothing of the caller's own request, neither
//! its token nor its cookies, ever reaches the upstream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::answer_stream::AnswerStream;
use super::bridge_token::BridgeSigner;
use super::credentials::Credentials;
use super::deadline::Deadline;
use super::error::UpstreamError;
use super::http_client::{HttpClient, HttpError, collect};
use super::reply::{Call, Reply};
use super::tokens::{AccessToken, Principal};
use crate::domain::mcp::{BATCH_REVISION, ServerMessage, batch_items};

/// `Mcp-Session-Id` (MCP 2025-11-25, Transports, "Session Management").
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// `MCP-Protocol-Version` (MCP 2025-11-25, Transports, "Protocol Version Header").
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";
/// Where an event stream is to go on (HTML Living Standard, 9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// One endpoint, with the credentials for it.
#[derive(Debug)]
pub(super) struct StreamableHttp {
    pub(super) client: HttpClient,
    pub(super) endpoint: Uri,
    pub(super) credentials: Credentials,
    /// How the gateway proves itself to a server behind a bridge.
    pub(super) bridge: Option<BridgeAccess>,
    /// Largest message accepted, in bytes.
    pub(super) message_bytes: usize,
    /// Longest silence before a call is given up.
    pub(super) patience: Duration,
}

/// The gateway's own token for one server's bridge.
#[derive(Clone, Debug)]
pub(super) struct BridgeAccess {
    /// Absent where the platform has configured no key.
    pub(super) signer: Option<Arc<BridgeSigner>>,
    pub(super) audience: String,
}

/// What tells the server which session a message belongs to, and for whom it is
/// sent; without a session before `initialize` is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionHeaders {
    /// Whose token is sent, where the server takes one.
    pub(super) principal: Option<Arc<Principal>>,
    pub(super) session_id: Option<HeaderValue>,
    pub(super) protocol_version: Option<HeaderValue>,
}

impl StreamableHttp {
    /// Sends a request; also tells the session that the server assigned, if it did.
    pub(super) async fn call(
        self: &Arc<Self>,
        session: &SessionHeaders,
        call: Call,
    ) -> Result<(Reply, Option<HeaderValue>), UpstreamError> {
        let deadline = Deadline::start(self.patience);
        let response = self.post(session, call.text).await?;
        let assigned = response.headers().get(&SESSION_ID).cloned();
        let reply = match content_type(&response) {
            JSON => self.message(session, response, &call.id).await?,
            EVENT_STREAM => {
                let (http, session) = (self.clone(), session.clone());
                let body = response.into_body();
                let stream = AnswerStream::new(http, session, call.id, deadline, body);
                Reply::Stream(stream.messages())
            }
            _ if response.status() == StatusCode::ACCEPTED => {
                return Err(UpstreamError::Invalid("a request was only accepted"));
            }
            _ => {
                return Err(UpstreamError::Invalid(
                    "the content type is neither JSON nor an event stream",
                ));
            }
        };
        Ok((reply, assigned))
    }

    /// Takes up an event stream after an event that was received.
    pub(super) async fn resume(
        &self,
        session: &SessionHeaders,
        last_event: HeaderValue,
    ) -> Result<Incoming, UpstreamError> {
        let mut request = self.request(Method::GET, session, Bytes::new()).await?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static(EVENT_STREAM));
        headers.insert(LAST_EVENT_ID, last_event);
        let response = self.send_in_session(session, request).await?;
        if content_type(&response) != EVENT_STREAM {
            return Err(UpstreamError::Interrupted);
        }
        Ok(response.into_body())
    }

    /// Sends a notification, or the client's answer to a request of the server.
    pub(super) async fn send(
        &self,
        session: &SessionHeaders,
        text: String,
    ) -> Result<(), UpstreamError> {
        self.post(session, text).await.map(drop)
    }

    /// Ends the session. Servers may refuse to (405), and nothing depends on it.
    pub(super) async fn end(&self, session: &SessionHeaders) -> Result<(), UpstreamError> {
        let request = self.request(Method::DELETE, session, Bytes::new()).await?;
        self.in_time(async { Ok(self.client.send(request).await?) })
            .await
            .map(drop)
    }

    async fn post(
        &self,
        session: &SessionHeaders,
        text: String,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let mut request = self.request(Method::POST, session, text.into()).await?;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        self.send_in_session(session, request).await
    }

    /// Sends a request, and tells by the status what is wrong, if it is.
    async fn send_in_session(
        &self,
        session: &SessionHeaders,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        // What the server refuses it has not begun: it may be sent again with another token.
        let again = self.credentials.has_tokens().then(|| request.clone());
        let mut response = self
            .in_time(async { Ok(self.client.send(request).await?) })
            .await?;
        if let Some(request) = again.filter(|_| response.status() == StatusCode::UNAUTHORIZED) {
            let request = self.with_another_token(session, request).await?;
            response = self
                .in_time(async { Ok(self.client.send(request).await?) })
                .await?;
        }
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND if session.session_id.is_some() => {
                Err(UpstreamError::SessionLost)
            }
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(UpstreamError::Unauthorized(status))
            }
            status => Err(UpstreamError::Status(status)),
        }
    }

    async fn request(
        &self,
        method: Method,
        session: &SessionHeaders,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, UpstreamError> {
        let credentials = self.in_time(self.credentials.headers()).await?;
        let token = self.in_time(self.credentials.token(session.principal.as_deref(), None));
        let token = token.await?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.endpoint.clone();
        let headers = request.headers_mut();
        headers.extend(credentials.clone());
        if let Some(token) = &token {
            headers.insert(header::AUTHORIZATION, token.authorization.clone());
        }
        if let Some(bridge) = &self.bridge {
            headers.insert(header::AUTHORIZATION, bridge.authorization()?);
        }
        headers.insert(header::ACCEPT, BOTH);
        if let Some(id) = &session.session_id {
            headers.insert(SESSION_ID, id.clone());
        }
        if let Some(version) = &session.protocol_version {
            headers.insert(PROTOCOL_VERSION, version.clone());
        }
        if let Some(token) = token {
            // Known again if the server refuses it.
            request.extensions_mut().insert(token);
        }
        Ok(request)
    }

    /// A request whose token was refused, with another one.
    async fn with_another_token(
        &self,
        session: &SessionHeaders,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Request<Full<Bytes>>, UpstreamError> {
        let refused = request.extensions().get::<Arc<AccessToken>>().cloned();
        let principal = session.principal.as_deref();
        let token = self.credentials.token(principal, refused.as_deref());
        if let Some(token) = self.in_time(token).await? {
            let headers = request.headers_mut();
            headers.insert(header::AUTHORIZATION, token.authorization.clone());
        }
        Ok(request)
    }

    async fn message(
        &self,
        session: &SessionHeaders,
        response: Response<Incoming>,
        id: &str,
    ) -> Result<Reply, UpstreamError> {
        let body = async {
            match collect(response.into_body(), self.message_bytes).await {
                // The server has begun to answer: it has seen the call.
                Err(HttpError::Broken(_)) => Err(UpstreamError::Interrupted),
                collected => Ok(collected?),
            }
        };
        let body = self.in_time(body).await?;
        let text = String::from_utf8(body.into())
            .map_err(|_| UpstreamError::Invalid("the body is not UTF-8"))?;
        match session.may_batch().then(|| batch_items(&text)).flatten() {
            Some(items) => batch(items, id),
            None => {
                check_answer(&text, id)?;
                Ok(Reply::Message(text))
            }
        }
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        timeout(self.patience, work)
            .await
            .map_err(|_| UpstreamError::Timeout(self.patience))?
    }
}

impl BridgeAccess {
    fn authorization(&self) -> Result<HeaderValue, UpstreamError> {
        let signer = self.signer.as_ref().ok_or(UpstreamError::NoBridgeKey)?;
        signer
            .authorization(&self.audience)
            .map_err(|source| UpstreamError::BridgeToken(Arc::new(source)))
    }
}

impl SessionHeaders {
    /// Whether the server may send batches.
    pub(super) fn may_batch(&self) -> bool {
        let revision = self.protocol_version.as_ref();
        revision.is_some_and(|revision| revision == BATCH_REVISION)
    }
}

fn check_answer(text: &str, id: &str) -> Result<(), UpstreamError> {
    match ServerMessage::peek(text) {
        Some(message) if message.answers(id) => Ok(()),
        Some(_) => Err(UpstreamError::Invalid("the response is to another request")),
        None => Err(UpstreamError::Invalid("the body is not a JSON-RPC message")),
    }
}

/// The messages of a batch, the answer last.
fn batch(items: Vec<String>, id: &str) -> Result<Reply, UpstreamError> {
    let is_answer = |text: &String| ServerMessage::peek(text).is_some_and(|one| one.is_answer());
    let (answers, mut messages): (Vec<_>, Vec<_>) = items.into_iter().partition(is_answer);
    let [answer] = answers.as_slice() else {
        return Err(UpstreamError::Invalid("a batch does not hold one response"));
    };
    check_answer(answer, id)?;
    messages.extend(answers);
    Ok(Reply::Stream(stream::iter(messages).map(Ok).boxed()))
}

/// The media type without parameters; empty if there is none.
fn content_type(response: &Response<Incoming>) -> &'static str {
    let found = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .unwrap_or_default();
    [JSON, EVENT_STREAM]
        .into_iter()
        .find(|known| found.eq_ignore_ascii_case(known))
        .unwrap_or_default()
}

#[cfg(test)]
#[path = "streamable_http_tests.rs"]
mod tests;
