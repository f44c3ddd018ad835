//! An admitted manifest as its Rust type.

use serde_json::Value;

use super::FieldError;
use crate::{McpServer, Organization, PromptPolicy};

/// One of the three kinds.
#[derive(Debug, Clone, PartialEq)]
pub enum Resource {
    /// A tenant.
    Organization(Box<Organization>),
    /// An MCP server.
    McpServer(Box<McpServer>),
    /// A part of the system prompt.
    PromptPolicy(Box<PromptPolicy>),
}

impl Resource {
    /// Reads what [`super::Admission::admit`] returned.
    pub(super) fn from_admitted(value: Value) -> Result<Self, FieldError> {
        let kind = value["kind"].as_str().unwrap_or_default().to_owned();
        let read = match kind.as_str() {
            "Organization" => serde_json::from_value(value).map(Self::Organization),
            "McpServer" => serde_json::from_value(value).map(Self::McpServer),
            _ => serde_json::from_value(value).map(Self::PromptPolicy),
        };
        read.map_err(|error| FieldError::new("", format!("cannot be read as {kind}: {error}")))
    }
}
