//! A small HTTP server for tests, whose answers the test decides.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;
type Handler = Arc<dyn Fn(Seen) -> Answer + Send + Sync>;

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Seen {
    /// The JSON-RPC method; empty if there is none.
    pub(crate) fn rpc_method(&self) -> String {
        let body = self.json();
        body["method"].as_str().unwrap_or_default().to_owned()
    }

    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The response to this request with a result.
    pub(crate) fn result(&self, result: &str) -> String {
        let id = &self.json()["id"];
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
    }
}

/// A running server; it ends when this is dropped.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: AbortHandle,
}

impl TestServer {
    /// Answers every request with what `answer` makes of it.
    pub(crate) async fn start<F>(answer: impl Fn(Seen) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |seen| Box::pin(answer(seen)));
        let seen = Arc::new(Mutex::new(vec![]));
        let router = axum::Router::new()
            .fallback(serve)
            .with_state((handler, seen.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            seen,
            task: task.abort_handle(),
        }
    }

    /// The URL of its MCP endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests of a JSON-RPC method came so far.
    pub(crate) fn count(&self, method: &str) -> usize {
        let seen = self.seen();
        seen.iter()
            .filter(|seen| seen.rpc_method() == method)
            .count()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Shared = (Handler, Arc<Mutex<Vec<Seen>>>);

async fn serve(
    State((handler, all)): State<Shared>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let seen = Seen {
        method,
        headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
    };
    all.lock().unwrap().push(seen.clone());
    handler(seen).await
}

/// An answer of one JSON text.
pub(crate) fn json(text: impl Into<String>) -> Response {
    answer(StatusCode::OK, "application/json", text.into())
}

/// An answer of events, each with one text as its data.
pub(crate) fn events(texts: &[&str]) -> Response {
    let stream = texts
        .iter()
        .map(|text| format!("event: message\ndata: {text}\n\n"))
        .collect::<String>();
    answer(StatusCode::OK, "text/event-stream", stream)
}

/// Any answer.
pub(crate) fn answer(status: StatusCode, content_type: &str, body: impl Into<Body>) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .body(body.into())
        .unwrap()
}

/// The answer to a message that needs none.
pub(crate) fn accepted() -> Response {
    Response::builder()
        .status(StatusCode::ACCEPTED)
        .body(Body::empty())
        .unwrap()
}

/// An answer that never comes.
pub(crate) async fn never() -> Response {
    std::future::pending().await
}
