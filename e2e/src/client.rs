//! Requests over real HTTP/1.1, nothing hidden: no redirects, no retries, no
//! cookies, and a connection for each request.

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client as HyperClient, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// What MCP clients must accept (MCP 2025-11-25, Streamable HTTP).
pub const MCP_ACCEPT: &str = "application/json, text/event-stream";

/// A client of one base URL.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: HyperClient<HttpConnector, Full<Bytes>>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body as it came.
    pub body: Bytes,
}

impl Client {
    /// A client of `base`, for example `http://127.0.0.1:8080`.
    pub fn new(base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            http: HyperClient::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build_http(),
        }
    }

    /// The base URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends one request and reads the whole answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer> {
        let mut request = Request::builder()
            .method(method.clone())
            .uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(body.into()))
            .with_context(|| format!("{method} {path} is not a request"))?;
        let answer = self
            .http
            .request(request)
            .await
            .with_context(|| format!("{method} {}{path} got no answer", self.base))?;
        let (parts, body) = answer.into_parts();
        let body = body
            .collect()
            .await
            .with_context(|| format!("the answer to {method} {path} broke off"))?
            .to_bytes();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }
}

impl Answer {
    /// A header field as text; empty if absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as JSON. Of an event stream: the list of its messages.
    pub fn json(&self) -> Result<Value> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        if self.header("content-type").starts_with("text/event-stream") {
            return self.events().map(Value::Array);
        }
        serde_json::from_slice(&self.body).with_context(|| {
            format!(
                "not JSON (status {}): {}",
                self.status,
                String::from_utf8_lossy(&self.body)
            )
        })
    }

    /// The final JSON-RPC message, whether it came as JSON or as the last event.
    pub fn message(&self) -> Result<Value> {
        match self.json()? {
            Value::Array(mut events) => events.pop().context("the event stream held no message"),
            message => Ok(message),
        }
    }

    /// The exact bytes of the final JSON-RPC message.
    pub fn message_text(&self) -> Result<String> {
        let text = String::from_utf8(self.body.to_vec())?;
        if !self.header("content-type").starts_with("text/event-stream") {
            return Ok(text);
        }
        event_data(&text)
            .pop()
            .context("the event stream held no message")
    }

    fn events(&self) -> Result<Vec<Value>> {
        let text = String::from_utf8(self.body.to_vec())?;
        event_data(&text)
            .iter()
            .map(|data| Ok(serde_json::from_str(data)?))
            .collect()
    }
}

/// The `data` of each event of a stream (HTML Living Standard, 9.2.6), empty ones left out.
fn event_data(stream: &str) -> Vec<String> {
    stream
        .replace("\r\n", "\n")
        .split("\n\n")
        .map(|event| {
            let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
            lines
                .map(|data| data.strip_prefix(' ').unwrap_or(data))
                .collect::<Vec<_>>()
                .join("\n")
        })
        .filter(|data| !data.is_empty())
        .collect()
}
