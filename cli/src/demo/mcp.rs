//! An MCP client over Streamable HTTP (MCP 2025-11-25), as small as the tour needs it.

use futures::StreamExt;
use http::{HeaderMap, Method, header};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use sse_stream::SseStream;

use super::client::{Client, ClientError, LARGEST_ANSWER};

/// Revision of MCP that the tour speaks.
const MCP_REVISION: &str = "2025-11-25";
/// Header with the id of an MCP session.
const MCP_SESSION: &str = "mcp-session-id";

/// An MCP session over Streamable HTTP.
pub(super) struct Mcp {
    client: Client,
    path: String,
    headers: HeaderMap,
    /// What the server told the agent at the start.
    pub(super) instructions: String,
}

impl Mcp {
    /// Opens an MCP session at an endpoint.
    pub(super) async fn connect(client: &Client, path: &str) -> Result<Self, ClientError> {
        let mut mcp = Self {
            client: client.clone(),
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
