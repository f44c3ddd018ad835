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

/// What a federated session can do: what any of its servers can, as far as it
/// can be carried. A server that has not been heard yet (`None`) may do anything
/// that a list can show.
pub fn union<'a>(servers: impl IntoIterator<Item = Option<&'a Value>>) -> Value {
    const LISTED: [&str; 3] = ["tools", "resources", "prompts"];
    const OTHERS: [&str; 2] = ["completions", "logging"];
    let mut union = json!({});
    for server in servers {
        let can = |name: &str| match server {
            Some(declared) => declared.get(name).is_some(),
            None => LISTED.contains(&name),
        };
        for name in LISTED.into_iter().chain(OTHERS).filter(|name| can(name)) {
            // Options (`listChanged`, `subscribe`) need streams that are not carried.
            union[name] = json!({});
        }
    }
    union
}

/// The client capabilities that servers may use through a federated session:
/// those whose requests can be told apart by the server that sent them.
pub fn carried(client: &Value) -> Value {
    let mut carried = json!({});
    for name in ["roots", "sampling", "elicitation"] {
        if let Some(capability) = client.get(name) {
            carried[name] = capability.clone();
        }
    }
    carried
}

/// The gateway's own `result` for a federated session.
pub fn server_result(revision: &str, capabilities: Value, instructions: Option<&str>) -> Value {
    let mut result = json!({
        "protocolVersion": revision,
        "capabilities": capabilities,
        "serverInfo": { "name": "agentapi", "title": "AgentAPI", "version": env!("CARGO_PKG_VERSION") },
    });
    if let Some(instructions) = instructions {
        result["instructions"] = instructions.into();
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_that_is_spoken_is_kept() {
        for revision in REVISIONS {
            assert_eq!(negotiate(revision), revision);
        }
    }

    #[test]
    fn a_revision_that_is_not_spoken_is_answered_with_the_latest() {
        assert_eq!(negotiate("2024-11-05"), LATEST_REVISION);
    }

    #[test]
    fn capabilities_are_the_union_of_the_servers() {
        let one = json!({ "tools": { "listChanged": true }, "logging": {} });
        let other = json!({ "prompts": {} });
        assert_eq!(
            union([Some(&one), Some(&other)]),
            json!({ "tools": {}, "logging": {}, "prompts": {} })
        );
    }

    #[test]
    fn what_no_server_can_do_is_not_declared() {
        let prompts_only = json!({ "prompts": {}, "experimental": {} });
        assert_eq!(union([Some(&prompts_only)]), json!({ "prompts": {} }));
        assert_eq!(union([]), json!({}));
    }

    #[test]
    fn a_server_that_was_not_heard_yet_may_have_resources_and_prompts() {
        assert_eq!(
            union([None]),
            json!({ "tools": {}, "resources": {}, "prompts": {} })
        );
    }

    #[test]
    fn what_cannot_be_carried_is_not_shown_to_servers() {
        let client = json!({ "roots": { "listChanged": true }, "tasks": {}, "experimental": {} });
        assert_eq!(
            carried(&client),
            json!({ "roots": { "listChanged": true } })
        );
    }
}
