//! The `initialize` handshake of revisions with sessions.

use serde::Deserialize;
use serde_json::{Value, json};

/// Revisions spoken, oldest first.
pub const REVISIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];
/// Offered to a client that asks for one we do not speak.
pub const LATEST_REVISION: &str = "2025-11-25";

/// `params` of `initialize`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializeParams {
    /// Revision the client wants.
    pub protocol_version: String,
    /// What the client can do.
    pub capabilities: Value,
    /// Who the client is.
    pub client_info: Value,
}

/// The revision to go on with (MCP 2025-11-25, Lifecycle, "Version Negotiation").
pub fn negotiate(requested: &str) -> &'static str {
    REVISIONS
        .into_iter()
        .find(|revision| *revision == requested)
        .unwrap_or(LATEST_REVISION)
}

/// The gateway's own `result` for a federated session.
pub fn server_result(revision: &str, instructions: Option<&str>) -> Value {
    let mut result = json!({
        "protocolVersion": revision,
        "capabilities": { "tools": {}, "resources": {}, "prompts": {} },
        "serverInfo": { "name": "agentapi", "title": "AgentAPI", "version": env!("CARGO_PKG_VERSION") },
    });
    if let Some(instructions) = instructions {
        result["instructions"] = instructions.into();
    }
    result
}
