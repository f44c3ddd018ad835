//! An MCP client (revision 2025-11-25, Streamable HTTP) that keeps the bytes of what it is answered.

use anyhow::{Context, Result, bail, ensure};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::client::{Answer, Client, MCP_ACCEPT};

const REVISION: &str = "2025-11-25";

/// A connected MCP session.
pub struct Mcp {
    client: Client,
    path: String,
    authorization: Option<String>,
    session: Option<String>,
}

#[derive(Deserialize)]
struct Envelope {
    result: Option<Box<RawValue>>,
    error: Option<Value>,
}

impl Mcp {
    /// Connects to an endpoint such as `http://127.0.0.1:8080/mcp`, with a bearer token if one is given.
    pub async fn connect(url: &str, token: Option<&str>) -> Result<Self> {
        let (scheme, rest) = url
            .split_once("://")
            .context("an MCP endpoint is an absolute URL")?;
        let (authority, path) = rest.split_once('/').context("an MCP endpoint has a path")?;
        let mut mcp = Self {
            client: Client::new(format!("{scheme}://{authority}")),
            path: format!("/{path}"),
            authorization: token.map(|token| format!("Bearer {token}")),
            session: None,
        };
        let initialize = json!({
            "protocolVersion": REVISION, "capabilities": {}, "clientInfo": { "name": "agentapi-e2e", "version": "1" },
        });
        let answer = mcp.post(&request("initialize", initialize)).await?;
        ensure!(
            answer.status == StatusCode::OK,
            "initialize at {url}: {} {:?}",
            answer.status,
            answer.body
        );
        mcp.session =
            Some(answer.header("mcp-session-id").to_owned()).filter(|session| !session.is_empty());
        let initialized = mcp
            .post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string())
            .await?;
        ensure!(
            initialized.status == StatusCode::ACCEPTED,
            "initialized at {url}: {}",
            initialized.status
        );
        Ok(mcp)
    }

    /// The exact text of `result`.
    pub async fn result(&self, method: &str, params: Value) -> Result<String> {
        let answer = self.post(&request(method, params)).await?;
        let text = answer.message_text()?;
        let envelope: Envelope = serde_json::from_str(&text)
            .with_context(|| format!("{method} was answered {}: {text}", answer.status))?;
        match envelope {
            Envelope {
                result: Some(result),
                ..
            } => Ok(result.get().to_owned()),
            Envelope { error, .. } => bail!("{method} failed: {error:?}"),
        }
    }

    /// The whole message that answers a request: a result or an error.
    pub async fn message(&self, method: &str, params: Value) -> Result<Value> {
        self.post(&request(method, params)).await?.message()
    }

    async fn post(&self, body: &str) -> Result<Answer> {
        let mut headers = vec![("content-type", "application/json"), ("accept", MCP_ACCEPT)];
        if let Some(authorization) = &self.authorization {
            headers.push(("authorization", authorization));
        }
        if let Some(session) = &self.session {
            headers.extend([
                ("mcp-session-id", session.as_str()),
                ("mcp-protocol-version", REVISION),
            ]);
        }
        self.client
            .send(Method::POST, &self.path, &headers, body.to_owned())
            .await
    }
}

fn request(method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}
