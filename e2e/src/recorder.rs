//! An MCP server that writes down how it was called.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// One call, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The JSON-RPC method, or `DELETE` for the end of a session.
    pub method: String,
    /// The `Authorization` header; empty if there was none.
    pub authorization: String,
}

/// A server that offers the tools `echo` and `secret`, until it is dropped.
pub struct Recorder {
    /// Its endpoint.
    pub url: String,
    calls: Calls,
    serving: JoinHandle<()>,
}

type Calls = Arc<Mutex<Vec<Call>>>;

impl Recorder {
    /// Listens on a free port of loopback.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/mcp", listener.local_addr()?);
        let calls = Calls::default();
        let routes = Router::new()
            .route("/mcp", post(message).delete(end))
            .with_state(calls.clone());
        let serving = tokio::spawn(async move {
            // Ends with the test, which sees its calls fail if this ever does before.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            url,
            calls,
            serving,
        })
    }

    /// All calls so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn note(calls: &Calls, method: &str, headers: &HeaderMap) {
    let authorization = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let call = Call {
        method: method.to_owned(),
        authorization: authorization.unwrap_or_default().to_owned(),
    };
    calls
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(call);
}

async fn end(State(calls): State<Calls>, headers: HeaderMap) -> StatusCode {
    note(&calls, "DELETE", &headers);
    StatusCode::OK
}

async fn message(
    State(calls): State<Calls>,
    headers: HeaderMap,
    Json(message): Json<Value>,
) -> Response {
    let method = message["method"].as_str().unwrap_or_default();
    note(&calls, method, &headers);
    let result = match method {
        "initialize" => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "recorder", "version": "1" },
        }),
        "tools/list" => {
            let tool = |name| json!({ "name": name, "inputSchema": { "type": "object" } });
            json!({ "tools": [tool("echo"), tool("secret")] })
        }
        "tools/call" => json!({ "content": [{ "type": "text", "text": "done" }] }),
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    let answer = Json(json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
    match method {
        "initialize" => ([("mcp-session-id", Uuid::new_v4().to_string())], answer).into_response(),
        _ => answer.into_response(),
    }
}
