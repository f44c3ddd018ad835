//! What the operator and the gateway say to each other, over the gateway's
//! internal API (`/internal/v1` on its operations port).
//!
//! The operator follows [`REPORTS`] of every replica, which wait for news, asks
//! one replica for a server's tools, and asks all of them to retire an
//! organization before its finalizer is removed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// `GET`: what the replica serves, and what it refused. Answers [`ReportPage`].
///
/// `?instance=…&after=…` (of the last page) asks for news only; `&waitSeconds=…`
/// waits for them that long, at most [`LONGEST_WAIT_SECONDS`].
pub const REPORTS: &str = "/internal/v1/reports";
/// Longest wait for news, in seconds.
pub const LONGEST_WAIT_SECONDS: u64 = 50;
/// Most tools whose digests are told.
pub const MOST_DIGESTS: usize = 512;
/// Longest name of a tool whose digest is told, in bytes.
pub const LONGEST_TOOL_NAME: usize = 128;

/// `PUT`: ends what the replica holds of an organization that it serves no
/// longer. Takes [`Retirement`], answers [`Retired`], and 409 while it still serves it.
pub fn retirement(organization: &str) -> String {
    format!("/internal/v1/organizations/{organization}/retirement")
}

/// `GET`: asks a server for its tools. Answers [`DiscoveredTools`], 404 where
/// the replica does not serve it, and 502 with the reason where it does not answer.
pub fn tools(organization: &str, server: &str) -> String {
    format!("/internal/v1/organizations/{organization}/servers/{server}/tools")
}

/// Reports of a replica, in the order in which they changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportPage {
    /// Names the process: one that was restarted reports everything anew.
    pub instance: Uuid,
    /// Where the next page begins: to be sent as `after`.
    pub cursor: u64,
    /// Everything is reported from here on: what was known of the replica is to be forgotten.
    pub full: bool,
    /// There is more to ask for at once.
    pub more: bool,
    /// Whether the replica has read all documents since it started.
    pub synced: bool,
    /// What changed.
    pub organizations: Vec<OrganizationReport>,
}

/// What a replica does with one organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationReport {
    /// Name of the `Organization`.
    pub organization: String,
    /// What it is served from; nothing if it is not served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Served>,
    /// The newer document that was not put into service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// A document in service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Served {
    /// What the database knows the organization by.
    pub tenant_id: Uuid,
    /// Content hash of the document.
    pub revision: String,
}

/// A document that was not put into service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Content hash that the document states, if it states one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Why, for people.
    pub message: String,
}

/// An organization that is being deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retirement {
    /// What the database knows it by. One of the same name that came after it is not meant.
    pub tenant_id: Uuid,
}

/// Nothing of an organization is left in a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retired {
    /// Agent and MCP sessions that the store still had, and has no longer.
    pub ended_sessions: u64,
}

/// The tools of one server, after `allow` and `deny`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiscoveredTools {
    /// How many there are.
    pub count: u32,
    /// Digest by name; of the first [`MOST_DIGESTS`] by name, and of none with a name longer than [`LONGEST_TOOL_NAME`].
    pub digests: BTreeMap<String, String>,
}

/// Why a call of the internal API was not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// For programs.
    pub code: String,
    /// For people. Holds no secret.
    pub message: String,
}
