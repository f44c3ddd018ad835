//! Audit records and the hash chain they form.
//!
//! Each organization has one chain for each writer epoch (one process's
//! lifetime): no replica waits for another, and every chain verifies by itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who acts, from where, in which request: the same for all records of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Name of the organization.
    pub organization: String,
    /// The user.
    pub actor: String,
    /// `X-Request-Id` of the request.
    pub request_id: String,
    /// Address the request came from.
    pub address: String,
    /// `User-Agent` of the request.
    pub user_agent: String,
}

/// What is done: a closed list, so that no record is written under a misspelt name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// A session is created.
    #[serde(rename = "session.create")]
    SessionCreate,
    /// A session's metadata is changed.
    #[serde(rename = "session.update")]
    SessionUpdate,
    /// A session is ended.
    #[serde(rename = "session.delete")]
    SessionDelete,
    /// An MCP client connects (`initialize`).
    #[serde(rename = "mcp.connect")]
    McpConnect,
    /// An MCP client disconnects (`DELETE`).
    #[serde(rename = "mcp.disconnect")]
    McpDisconnect,
    /// A tool is called.
    #[serde(rename = "tool.call")]
    ToolCall,
    /// A resource is read.
    #[serde(rename = "resource.read")]
    ResourceRead,
    /// A prompt of a server is got.
    #[serde(rename = "prompt.get")]
    PromptGet,
    /// A caller was refused access to something of the organization.
    #[serde(rename = "access.denied")]
    AccessDenied,
}

/// Where in the life of an act a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// One sealed record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// UUIDv7 of the record.
    pub id: Uuid,
    /// Writer epoch whose chain it belongs to.
    pub writer: Uuid,
    /// Position in the chain, from 1.
    pub sequence: u64,
    /// When it was written.
    pub time: Timestamp,
    /// Name of the organization.
    pub organization: String,
    /// The user; absent once erased.
    pub actor: Option<String>,
    /// What is done.
    pub action: Action,
    /// What it is done to, for example `notes/add_note` or a session id.
    pub resource: String,
    /// Where in the life of the act the record stands.
    pub outcome: Outcome,
    /// A stable code of what went wrong, where something did.
    pub reason: Option<String>,
    /// `X-Request-Id` of the request.
    pub request_id: String,
    /// Address the request came from; absent once erased.
    pub address: Option<String>,
    /// `User-Agent` of the request; absent once erased.
    pub user_agent: Option<String>,
    /// Key of the commitments to the personal fields (16 random bytes, hexadecimal); erased together with them.
    pub commitment_key: Option<String>,
    /// Commitments to `actor`, `address` and `userAgent`: what enters the hash instead of them.
    pub commitments: [String; 3],
    /// Hash of the record before it in the chain; 64 zeros for the first.
    pub previous_hash: String,
    /// SHA-256 over the record without this field and without erasable ones.
    pub hash: String,
}
