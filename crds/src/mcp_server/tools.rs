//! Which tools of an MCP server are offered, to whom, and under which names.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which tools are offered, to whom, and under which names.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Tools {
    /// Prefix of the tools' names where all servers are federated. Default: the server's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 40),
        regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$")
    )]
    pub prefix: Option<String>,
    /// Globs of the tools offered, for example read_*. Empty offers all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 128)))]
    pub allow: Vec<String>,
    /// Globs of the tools withheld; wins over allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 128)))]
    pub deny: Vec<String>,
    /// Rules that calls must satisfy; every rule that names the tool must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub authorize: Vec<Authorization>,
    /// Globs of the tools whose calls another person must approve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(min = 1, max = 128)))]
    pub require_approval: Vec<String>,
    /// What happens when a tool's definition differs from its approved digest. Quote "Off": kubectl reads a bare Off as false.
    #[serde(default)]
    pub pin: PinMode,
    /// Approved definitions: tool to digest, as status.digests shows them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "super::tool_digests_schema")]
    pub approved_digests: BTreeMap<String, String>,
    /// Whether the policies above take effect, or report only what they would do.
    #[serde(default)]
    pub mode: PolicyMode,
}

/// A rule that calls of some tools must satisfy.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// Globs of the tools that the rule is about.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 128)))]
    pub tools: Vec<String>,
    /// CEL expression over claims, session, tool.name and tool.arguments; true permits the call. An error denies.
    #[schemars(length(min = 1, max = 1024))]
    pub rule: String,
    /// What the caller is told when the rule denies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub message: Option<String>,
}

/// What happens when a tool's definition differs from its approved digest.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PinMode {
    /// Nothing.
    #[default]
    Off,
    /// The difference is recorded, the tool stays.
    Warn,
    /// The tool is withdrawn until its digest is approved.
    Enforce,
}

/// Whether a policy takes effect.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyMode {
    /// It takes effect.
    #[default]
    Enforce,
    /// It is recorded what it would do.
    Shadow,
}
