//! An HTTP client, as small as the tour needs it.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// Largest answer that is read.
pub(super) const LARGEST_ANSWER: usize = 4 << 20;

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

    /// Sends a request with further headers and returns the answer before its body is read.
    pub(super) async fn respond(
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
}
