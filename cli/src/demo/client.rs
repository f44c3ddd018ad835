//! An HTTP and MCP client, as small as the tour needs it.

use std::fmt;

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use sse_stream::SseStream;

/// Largest answer that is read.
const LARGEST_ANSWER: usize = 4 << 20;
/// Revision of MCP that the tour speaks.
const MCP_REVISION: &str = "2025-11-25";
/// Header with the id of an MCP session (MCP 2025-11-25, Streamable HTTP).
const MCP_SESSION: &str = "mcp-session-id";

/// Why a request of the tour failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// The request could not be made.
    #[error("the request is malformed")]
    Request(#[from] http::Error),
    /// No answer came.
    #[error("{0} got no answer")]
    Connection(String, #[source] hyper_util::client::legacy::Error),
    /// The answer broke off, or is too large.
    #[error("the answer to {0} broke off")]
    Body(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is not what was asked for.
    #[error("{request} was answered with {answer}")]
    Unexpected { request: String, answer: String },
}

/// A client of one server as one user.
#[derive(Clone)]
pub(super) struct Client {
    base: String,
    token: String,
    http: HyperClient<HttpConnector, Full<Bytes>>,
}

/// An answer with its body read.
#[derive(Debug)]
pub(super) struct Answer {
    request: String,
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl Answer {
    /// The body, if the status is the expected one.
    pub(super) fn expect(self, status: StatusCode) -> Result<Value, ClientError> {
        if self.status == status {
            return Ok(self.body);
        }
        let Self { request, .. } = &self;
        Err(ClientError::Unexpected {
            request: request.clone(),
            answer: self.to_string(),
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.body.get("detail").and_then(Value::as_str);
        match detail {
            Some(detail) => write!(formatter, "{}: {detail}", self.status),
            None => write!(formatter, "{}", self.status),
        }
    }
}

impl Client {
    /// A client of `base` (`http://ADDRESS`) with a bearer token.
    pub(super) fn new(base: &str, token: String) -> Self {
        let http = HyperClient::builder(TokioExecutor::new()).build_http();
        Self {
            base: base.to_owned(),
            token,
            http,
        }
    }

    /// Reads a resource.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(Method::GET, path, None).await
    }

    /// Posts a JSON body.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Answer, ClientError> {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ClientError> {
        let request = format!("{method} {path}");
        let response = self
            .respond(&request, method, path, HeaderMap::new(), body)
            .await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER)
            .collect()
            .await;
        let body = body
            .map_err(|error| ClientError::Body(request.clone(), error))?
            .to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Answer {
            request,
            status,
            body,
        })
    }

    async fn respond(
        &self,
        title: &str,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<&Value>,
    ) -> Result<http::Response<hyper::body::Incoming>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(fields) = request.headers_mut() {
            fields.extend(headers);
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self
            .http
            .request(request.body(Full::new(Bytes::from(body)))?)
            .await;
        answer.map_err(|error| ClientError::Connection(title.to_owned(), error))
    }

    /// Opens an MCP session at an endpoint.
    pub(super) async fn connect(&self, path: &str) -> Result<Mcp, ClientError> {
        let mut mcp = Mcp {
            client: self.clone(),
            path: path.to_owned(),
            headers: HeaderMap::new(),
            instructions: String::new(),
        };
        let (headers, result) = mcp
            .exchange(
                "initialize",
                json!({
                    "protocolVersion": MCP_REVISION,
                    "capabilities": {},
                    "clientInfo": {"name": "agentapi-demo", "version": env!("CARGO_PKG_VERSION")},
                }),
                |_| {},
            )
            .await?;
        mcp.headers.extend(
            headers
                .get(MCP_SESSION)
                .map(|id| (header::HeaderName::from_static(MCP_SESSION), id.clone())),
        );
        mcp.headers.insert(
            "mcp-protocol-version",
            header::HeaderValue::from_static(MCP_REVISION),
        );
        mcp.instructions = result["instructions"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        mcp.respond("notifications/initialized", &initialized)
            .await?;
        Ok(mcp)
    }
}

/// An MCP session over Streamable HTTP.
pub(super) struct Mcp {
    client: Client,
    path: String,
    headers: HeaderMap,
    /// What the server told the agent at the start.
    pub(super) instructions: String,
}

impl Mcp {
    /// Sends a request and returns its result.
    pub(super) async fn request(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        self.exchange(method, params, |_| {})
            .await
            .map(|(_, result)| result)
    }

    /// Calls a tool, telling of its progress as it comes.
    pub(super) async fn call(
        &self,
        name: &str,
        arguments: Value,
        progress: impl FnMut(&Value),
    ) -> Result<Value, ClientError> {
        let params =
            json!({"name": name, "arguments": arguments, "_meta": {"progressToken": name}});
        let (_, result) = self.exchange("tools/call", params, progress).await?;
        if result["isError"] == json!(true) {
            return Err(unexpected(name, &result["content"]));
        }
        Ok(result)
    }

    async fn exchange(
        &self,
        method: &str,
        params: Value,
        mut progress: impl FnMut(&Value),
    ) -> Result<(HeaderMap, Value), ClientError> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let response = self.respond(method, &request).await?;
        let headers = response.headers().clone();
        let message = match headers
            .get(header::CONTENT_TYPE)
            .map(header::HeaderValue::as_bytes)
        {
            Some(media) if media.starts_with(b"text/event-stream") => {
                last_message(method, response, &mut progress).await?
            }
            _ => {
                let body = Limited::new(response.into_body(), LARGEST_ANSWER)
                    .collect()
                    .await;
                let body = body.map_err(|error| ClientError::Body(method.to_owned(), error))?;
                serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null)
            }
        };
        match message.get("result") {
            Some(result) => Ok((headers, result.clone())),
            None => Err(unexpected(method, &message["error"])),
        }
    }

    async fn respond(
        &self,
        method: &str,
        message: &Value,
    ) -> Result<http::Response<hyper::body::Incoming>, ClientError> {
        let headers = self.headers.clone();
        let response = self
            .client
            .respond(method, Method::POST, &self.path, headers, Some(message))
            .await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(unexpected(method, &json!(response.status().to_string())))
    }
}

/// Reads events up to the response, handing on the progress before it.
async fn last_message(
    method: &str,
    response: http::Response<hyper::body::Incoming>,
    progress: &mut impl FnMut(&Value),
) -> Result<Value, ClientError> {
    let mut events = SseStream::new(response.into_body());
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| ClientError::Body(method.to_owned(), Box::new(error)))?;
        let data = event.data.unwrap_or_default();
        let message: Value = serde_json::from_str(&data).unwrap_or(Value::Null);
        if message["method"] == json!("notifications/progress") {
            progress(&message["params"]);
        } else if message.get("id").is_some() && message.get("method").is_none() {
            return Ok(message);
        }
    }
    Err(unexpected(
        method,
        &json!("an event stream without a response"),
    ))
}

fn unexpected(request: &str, answer: &Value) -> ClientError {
    let text = answer.get("message").unwrap_or(answer);
    let answer = text
        .as_str()
        .map_or_else(|| text.to_string(), str::to_owned);
    ClientError::Unexpected {
        request: request.to_owned(),
        answer,
    }
}
