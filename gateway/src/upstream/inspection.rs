//! What a server says of itself, asked in a session that ends with the answer.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::error::UpstreamError;
use super::reply::Call;
use super::resilience::Operation;
use super::server::Server;
use super::tokens::Principal;
use crate::domain::mcp::{LATEST_REVISION, ServerKind, ServerMessage};

/// Most pages that a server is asked for.
const MOST_PAGES: usize = 64;

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inspection {
    /// The revision of MCP that it chose.
    pub revision: String,
    /// Its `serverInfo` as it came.
    pub server_info: Value,
    /// Its `capabilities` as they came.
    pub capabilities: Value,
    /// Its instructions, if it has any.
    pub instructions: Option<String>,
    /// The tools that are offered of it, as they came, each with a name.
    pub tools: Vec<(String, Value)>,
}

/// What `initialize` is answered with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    protocol_version: String,
    #[serde(default)]
    server_info: Value,
    #[serde(default)]
    capabilities: Value,
    #[serde(default)]
    instructions: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tools: Vec<Value>,
    next_cursor: Option<String>,
}

/// Connects to a server for somebody, asks it what it is and which tools it has, and ends the session.
///
/// # Errors
/// See [`UpstreamError`].
pub async fn inspect(
    server: &Arc<Server>,
    principal: &Arc<Principal>,
) -> Result<Inspection, UpstreamError> {
    let (connection, answer) = server.connect(principal, initialize()).await?;
    let found = ask(&connection, &answer).await;
    if let Err(error) = connection.end().await {
        tracing::debug!(server = server.name(), %error, "the session was not ended");
    }
    found
}

async fn ask(connection: &Connection, initialized: &str) -> Result<Inspection, UpstreamError> {
    let initialized: Initialized = result(initialized)?;
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    connection.send(notification.to_string()).await?;
    let tools = match initialized.capabilities.get("tools") {
        Some(_) => tools(connection).await?,
        None => vec![],
    };
    Ok(Inspection {
        revision: initialized.protocol_version,
        server_info: initialized.server_info,
        capabilities: initialized.capabilities,
        instructions: initialized.instructions,
        tools,
    })
}

async fn tools(connection: &Connection) -> Result<Vec<(String, Value)>, UpstreamError> {
    let mut found = Vec::new();
    let mut cursor = None;
    let mut bytes = 0;
    for _ in 0..MOST_PAGES {
        let call = tools_list(cursor.as_deref());
        let text = connection
            .call(Operation::List, call, &CancellationToken::new())
            .await?
            .response()
            .await?;
        bytes += text.len() as u64;
        let most = connection.server().config.limits.result_bytes;
        if bytes > most {
            return Err(UpstreamError::TooLarge(
                usize::try_from(most).unwrap_or(usize::MAX),
            ));
        }
        let page: Page = result(&text)?;
        for tool in page.tools {
            let name = tool.get("name").and_then(Value::as_str);
            let name = name.ok_or(UpstreamError::Invalid("a tool has no name"))?;
            if connection.server().offers(name) {
                found.push((name.to_owned(), tool));
            }
        }
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(found),
        }
    }
    Err(UpstreamError::Invalid("its list does not end"))
}

fn result<T: serde::de::DeserializeOwned>(answer: &str) -> Result<T, UpstreamError> {
    let message = ServerMessage::peek(answer);
    match message.map(|message| message.kind) {
        Some(ServerKind::Result { result, .. }) => serde_json::from_str(result)
            .map_err(|_| UpstreamError::Invalid("its tools cannot be read")),
        Some(ServerKind::Error { .. }) => {
            Err(UpstreamError::Invalid("it refused to list its tools"))
        }
        _ => Err(UpstreamError::Invalid("its tools were not listed")),
    }
}

fn initialize() -> Call {
    let params = json!({
        "protocolVersion": LATEST_REVISION,
        "capabilities": {},
        "clientInfo": { "name": "agentapi-gateway", "version": env!("CARGO_PKG_VERSION") },
    });
    request(1, "initialize", &params)
}

fn tools_list(cursor: Option<&str>) -> Call {
    let params = match cursor {
        Some(cursor) => json!({ "cursor": cursor }),
        None => json!({}),
    };
    request(2, "tools/list", &params)
}

fn request(id: u8, method: &str, params: &Value) -> Call {
    Call {
        text: json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string(),
        id: id.to_string(),
        progress_token: None,
    }
}
