//! `McpServer`: a source of tools, resources and prompts for one organization.

mod auth;
mod resilience;
mod target;
mod tools;

pub use auth::{
    Auth, BearerAuth, CredentialScope, HeaderAuth, OAuthAuth, OAuthProvider, SubjectTokenType,
    TokenExchangeAuth,
};
pub use resilience::{Breaker, Resilience, Retries, ServerLimits};
pub use target::{
    ContainerEnv, ContainerTarget, RemoteTarget, RemoteTransport, StdioEnv, StdioTarget,
};
pub use tools::{Authorization, PinMode, PolicyMode, Tools};

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::quantity::ResourceList;

/// Replicas of a server in the cluster unless said otherwise.
const DEFAULT_REPLICAS: u32 = 1;

fn default_replicas() -> u32 {
    DEFAULT_REPLICAS
}

/// Where an MCP server is or how it is run, and what of it is offered to whom.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "agentapi.dev",
    version = "v1alpha1",
    kind = "McpServer",
    plural = "mcpservers",
    shortname = "mcps",
    category = "agentapi",
    namespaced,
    status = "McpServerStatus",
    derive = "PartialEq",
    validation = Rule::new(r#"self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')"#)
        .message("metadata.name must be a DNS-1035 label of at most 40 characters: Service names and tool prefixes are made from it"),
    doc = "An MCP server of an organization: remote, or run in the organization's namespace.",
    printcolumn(
        name = "READY",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "REASON",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "TYPE", type_ = "string", json_path = ".status.type"),
    printcolumn(name = "AUTH", type_ = "string", json_path = ".status.auth"),
    printcolumn(name = "TOOLS", type_ = "integer", json_path = ".status.tools"),
    printcolumn(name = "PIN", type_ = "string", json_path = ".spec.tools.pin"),
    printcolumn(
        name = "AGE",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "MESSAGE",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(
        name = "SCOPE",
        type_ = "string",
        json_path = ".spec.credentialScope",
        priority = 1
    ),
    printcolumn(
        name = "MODE",
        type_ = "string",
        json_path = ".spec.tools.mode",
        priority = 1
    )
)]
#[x_kube(validation = Rule::new(r#"[has(self.remote), has(self.container), has(self.stdio)].filter(present, present).size() == 1"#)
    .message("exactly one of remote, container and stdio is required"))]
#[x_kube(validation = Rule::new(r#"!has(self.remote) || !has(self.resources)"#)
    .message("resources are of servers in the cluster, not of remote ones").field_path(".resources"))]
#[x_kube(validation = Rule::new(r#"!has(self.remote) || self.replicas == 1"#)
    .message("replicas are of servers in the cluster, not of remote ones").field_path(".replicas"))]
#[x_kube(validation = Rule::new(r#"!has(self.stdio) || !has(self.auth)"#)
    .message("auth is sent over HTTP: a stdio server takes its credentials from env").field_path(".auth"))]
#[x_kube(validation = Rule::new(r#"!has(self.auth) || self.credentialScope != 'User' || !(has(self.auth.bearer) || (has(self.auth.headers) && self.auth.headers.size() > 0))"#)
    .message("credentialScope User needs oauth or tokenExchange: a Secret holds one credential for everybody").field_path(".credentialScope"))]
#[x_kube(validation = Rule::new(r#"!has(self.auth) || !has(self.auth.tokenExchange) || self.credentialScope == 'User'"#)
    .message("tokenExchange yields a token of the user: it needs credentialScope User").field_path(".credentialScope"))]
#[serde(rename_all = "camelCase")]
pub struct McpServerSpec {
    /// A server that runs elsewhere, by its URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteTarget>,
    /// A server that speaks Streamable HTTP, run in the organization's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerTarget>,
    /// A server that speaks over standard input and output, run in the organization's namespace, one process for each MCP session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdio: Option<StdioTarget>,
    /// How the gateway authenticates to the server. Absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Whose credentials are sent: one for the organization, or each user's own.
    #[serde(default)]
    pub credential_scope: CredentialScope,
    /// Which tools are offered, to whom, and under which names.
    #[serde(default)]
    pub tools: Tools,
    /// Bounds on messages and on calls at one time.
    #[serde(default)]
    pub limits: ServerLimits,
    /// What happens when the server is slow or fails.
    #[serde(default)]
    pub resilience: Resilience,
    /// Withdraws the server at once while true. Nothing is deleted.
    #[serde(default)]
    pub disabled: bool,
    /// Requests and limits of the server's container. Not for remote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Replicas of the server. Not for remote.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 1, max = 32))]
    pub replicas: u32,
}

/// Requests and limits of a container.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What the container is guaranteed, for example cpu or memory.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    #[schemars(schema_with = "crate::quantity::resource_list_schema")]
    pub requests: ResourceList,
    /// What the container may use at most.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    #[schemars(schema_with = "crate::quantity::resource_list_schema")]
    pub limits: ResourceList,
}

/// How a server is reached, as its status names it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerType {
    /// By its URL.
    Remote,
    /// Run as a container that speaks HTTP.
    Container,
    /// Run as a process that speaks over standard input and output.
    Stdio,
}

/// How the gateway authenticates, as a server's status names it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// Not at all.
    None,
    /// A bearer token from a Secret.
    Bearer,
    /// Headers from Secrets.
    Headers,
    /// OAuth 2.0.
    OAuth,
    /// RFC 8693 token exchange.
    TokenExchange,
}

impl McpServerSpec {
    /// How the server is reached; `None` if it names no target, which the rules refuse.
    pub fn server_type(&self) -> Option<ServerType> {
        if self.remote.is_some() {
            Some(ServerType::Remote)
        } else if self.container.is_some() {
            Some(ServerType::Container)
        } else {
            self.stdio.as_ref().map(|_| ServerType::Stdio)
        }
    }

    /// How the gateway authenticates to the server.
    pub fn auth_type(&self) -> AuthType {
        self.auth.as_ref().map_or(AuthType::None, Auth::auth_type)
    }
}

/// What the operator applied and the gateway found.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct McpServerStatus {
    /// metadata.generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready first; then Reconciling, Stalled and others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::conditions::conditions_schema")]
    pub conditions: Vec<Condition>,
    /// How the server is reached.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub server_type: Option<ServerType>,
    /// How the gateway authenticates to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthType>,
    /// How many tools the server offers after allow and deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<u32>,
    /// Digest of each tool as last seen, to be copied to spec.tools.approvedDigests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "tool_digests_schema")]
    pub digests: BTreeMap<String, String>,
    /// Where the gateway reaches the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub endpoint: Option<String>,
}

/// Schema of a map from tool to digest.
pub(crate) fn tool_digests_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 512,
        "additionalProperties": {
            "description": "SHA-256 of the tool's definition, as sha256: and 64 hexadecimal digits.",
            "type": "string",
            "maxLength": 71,
            "pattern": "^sha256:[0-9a-f]{64}$"
        }
    })
}
