//! What is done, and how far it got. Closed lists, so that no record is written under a misspelt name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Action {
    /// A session is created.
    SessionCreate,
    /// A session's metadata is changed.
    SessionUpdate,
    /// A session is ended.
    SessionDelete,
    /// A session is shared with a user.
    SessionShare,
    /// A user is taken out of a session.
    SessionUnshare,
    /// An MCP client connects (`initialize`).
    McpConnect,
    /// An MCP client disconnects (`DELETE`).
    McpDisconnect,
    /// A tool is called.
    ToolCall,
    /// A resource is read.
    ResourceRead,
    /// A prompt of a server is got.
    PromptGet,
    /// A user adds an MCP server of their own.
    McpServerCreate,
    /// A user changes an MCP server of their own.
    McpServerUpdate,
    /// A user removes an MCP server of their own.
    McpServerDelete,
    /// A user has an MCP server tested.
    McpServerTest,
    /// An API key is made.
    ApiKeyCreate,
    /// An API key is revoked.
    ApiKeyRevoke,
    /// The organization's record is exported.
    AuditExport,
    /// The personal fields of an actor are erased from the record.
    AuditErase,
    /// An event that could not be delivered is sent again.
    DeadLetterReplay,
    /// An event that could not be delivered is discarded.
    DeadLetterDiscard,
    /// An account at an upstream server is connected.
    OAuthConnect,
    /// The tokens of an account are refreshed at its user's wish.
    OAuthRefresh,
    /// An account at an upstream server is disconnected.
    OAuthDisconnect,
    /// Everything of a user is ended.
    UserOffboard,
    /// A caller was refused access to something of the organization.
    AccessDenied,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 25] = [
        Self::SessionCreate,
        Self::SessionUpdate,
        Self::SessionDelete,
        Self::SessionShare,
        Self::SessionUnshare,
        Self::McpConnect,
        Self::McpDisconnect,
        Self::ToolCall,
        Self::ResourceRead,
        Self::PromptGet,
        Self::McpServerCreate,
        Self::McpServerUpdate,
        Self::McpServerDelete,
        Self::McpServerTest,
        Self::ApiKeyCreate,
        Self::ApiKeyRevoke,
        Self::AuditExport,
        Self::AuditErase,
        Self::DeadLetterReplay,
        Self::DeadLetterDiscard,
        Self::OAuthConnect,
        Self::OAuthRefresh,
        Self::OAuthDisconnect,
        Self::UserOffboard,
        Self::AccessDenied,
    ];

    /// The name in records and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionCreate => "session.create",
            Self::SessionUpdate => "session.update",
            Self::SessionDelete => "session.delete",
            Self::SessionShare => "session.share",
            Self::SessionUnshare => "session.unshare",
            Self::McpConnect => "mcp.connect",
            Self::McpDisconnect => "mcp.disconnect",
            Self::ToolCall => "tool.call",
            Self::ResourceRead => "resource.read",
            Self::PromptGet => "prompt.get",
            Self::McpServerCreate => "mcp_server.create",
            Self::McpServerUpdate => "mcp_server.update",
            Self::McpServerDelete => "mcp_server.delete",
            Self::McpServerTest => "mcp_server.test",
            Self::ApiKeyCreate => "api_key.create",
            Self::ApiKeyRevoke => "api_key.revoke",
            Self::AuditExport => "audit.export",
            Self::AuditErase => "audit.erase",
            Self::DeadLetterReplay => "dead_letter.replay",
            Self::DeadLetterDiscard => "dead_letter.discard",
            Self::OAuthConnect => "oauth.connect",
            Self::OAuthRefresh => "oauth.refresh",
            Self::OAuthDisconnect => "oauth.disconnect",
            Self::UserOffboard => "user.offboard",
            Self::AccessDenied => "access.denied",
        }
    }
}

/// Where in the life of an act a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Outcome {
    /// Committed before the act. Without a later outcome of the same request and action, what happened is unknown.
    Intent,
    /// The act succeeded.
    Success,
    /// The act was refused before it began.
    Denied,
    /// The act failed.
    Failure,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Intent, Self::Success, Self::Denied, Self::Failure];

    /// The name in records and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Success => "success",
            Self::Denied => "denied",
            Self::Failure => "failure",
        }
    }
}

/// A name that is in none of the lists.
#[derive(Debug, thiserror::Error)]
#[error("{name:?} is no {what} that this build knows")]
pub struct UnknownName {
    what: &'static str,
    name: String,
}

/// The string forms of a closed list, from its `ALL` and `name`.
macro_rules! named {
    ($type:ty, $what:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                Self::ALL
                    .into_iter()
                    .find(|known| known.name() == name)
                    .ok_or_else(|| UnknownName {
                        what: $what,
                        name: name.to_owned(),
                    })
            }
        }

        impl TryFrom<String> for $type {
            type Error = UnknownName;

            fn try_from(name: String) -> Result<Self, Self::Error> {
                name.parse()
            }
        }

        impl From<$type> for &'static str {
            fn from(value: $type) -> Self {
                value.name()
            }
        }
    };
}

named!(Action, "action");
named!(Outcome, "outcome");
