//! `GET /internal/v1/organizations/{organization}/servers/{server}/tools`: what a server offers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentapi_crds::internal_api::{DiscoveredTools, LONGEST_TOOL_NAME, MOST_DIGESTS};
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Internal;
use super::refusal::Refusal;
use crate::domain::mcp::{LATEST_REVISION, ServerKind, ServerMessage, tool_digest};
use crate::upstream::{Call, Connection, Operation, Server, UpstreamError};

/// How long asking one server may take in all.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most pages that a server is asked for.
const MOST_PAGES: usize = 64;

/// Asks a server for its tools, in a session that ends with the answer.
pub(super) async fn discover(
    State(internal): State<Internal>,
    Path((organization, server)): Path<(String, String)>,
) -> Result<Json<DiscoveredTools>, Refusal> {
    let tenant = internal.tenants.get(&organization);
    let server = tenant.and_then(|tenant| tenant.servers.get(&server).cloned());
    let server = server.ok_or(Refusal::NotServed)?;
    let _permit = internal
        .discoveries
        .acquire()
        .await
        .map_err(|_| Refusal::Stopping)?;
    let started = Instant::now();
    let found = timeout(PATIENCE, ask(&server)).await;
    let found = found.unwrap_or(Err(UpstreamError::Timeout(PATIENCE)));
    let outcome = found.as_ref().err().map_or("success", UpstreamError::code);
    internal
        .metrics
        .upstream(Operation::List.name(), outcome, started.elapsed());
    Ok(Json(found?))
}

async fn ask(server: &Arc<Server>) -> Result<DiscoveredTools, UpstreamError> {
    let (connection, answer) = server.connect(initialize()).await?;
    let found = list(&connection, &answer).await;
    if let Err(error) = connection.end().await {
        tracing::debug!(server = server.name(), %error, "the session was not ended");
    }
    found
}

async fn list(
    connection: &Connection,
    initialized: &str,
) -> Result<DiscoveredTools, UpstreamError> {
    let initialized: Value = result(initialized)?;
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    connection.send(notification.to_string()).await?;
    if initialized.pointer("/capabilities/tools").is_none() {
        return Ok(DiscoveredTools::default());
    }
    let instructions = initialized.get("instructions").and_then(Value::as_str);
    let mut found = BTreeMap::new();
    let mut cursor = None;
    let mut bytes = 0;
    for _ in 0..MOST_PAGES {
        let text = connection
            .call(
                Operation::List,
                tools_list(cursor.as_deref()),
                &CancellationToken::new(),
            )
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
                found.insert(name.to_owned(), tool_digest(&tool, instructions));
            }
        }
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(told(found)),
        }
    }
    Err(UpstreamError::Invalid("its list does not end"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tools: Vec<Value>,
    next_cursor: Option<String>,
}

fn told(found: BTreeMap<String, String>) -> DiscoveredTools {
    let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
    let digests = found
        .into_iter()
        .filter(|(name, _)| name.len() <= LONGEST_TOOL_NAME);
    DiscoveredTools {
        count,
        digests: digests.take(MOST_DIGESTS).collect(),
    }
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
