//! Where an MCP server is, or how it is run.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;
use crate::secret_ref::SecretKeyRef;

/// Path of a container's MCP endpoint unless said otherwise.
const DEFAULT_MCP_PATH: &str = "/mcp";

fn default_path() -> String {
    DEFAULT_MCP_PATH.to_owned()
}

/// A server that runs elsewhere.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"!has(self.caBundle) || self.url.startsWith('https://')"#)
    .message("caBundle needs an https URL").field_path(".caBundle"))]
#[serde(rename_all = "camelCase")]
pub struct RemoteTarget {
    /// Absolute http or https URL of the MCP endpoint, without user information and fragment.
    #[schemars(length(min = 8, max = 1024))]
    #[x_kube(validation = rules::absolute_url())]
    pub url: String,
    /// Wire protocol of the server.
    #[serde(default)]
    pub transport: RemoteTransport,
    /// PEM certificates trusted for this server in place of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 65536))]
    #[x_kube(validation = Rule::new(r#"self.matches('^\\s*-----BEGIN CERTIFICATE-----') && self.matches('-----END CERTIFICATE-----\\s*$')"#)
    .message("must be PEM certificates"))]
    #[x_kube(validation = Rule::new(r#"!self.contains('PRIVATE KEY')"#)
    .message("must hold certificates only: it has a private key").reason(Reason::FieldValueForbidden))]
    pub ca_bundle: Option<String>,
}

/// Wire protocol of a remote server.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoteTransport {
    /// MCP Streamable HTTP (2025-03-26 and later).
    #[default]
    StreamableHttp,
    /// HTTP with server-sent events (2024-11-05).
    Sse,
}

/// A server that speaks Streamable HTTP, run in the organization's namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ContainerTarget {
    /// Image of the server.
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\s]+$"))]
    pub image: String,
    /// TCP port that the server listens on.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// HTTP path of the MCP endpoint. Default /mcp.
    #[serde(default = "default_path")]
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^/[^\s?#]*$"))]
    pub path: String,
    /// Arguments in place of the image's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub args: Vec<String>,
    /// Environment of the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<ContainerEnv>,
}

/// One environment variable of a container.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ContainerEnv {
    /// Name of the variable.
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$")
    )]
    pub name: String,
    /// Value of the variable. It is not a place for secrets.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// A server that speaks over standard input and output.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StdioTarget {
    /// Image with the server's program.
    #[schemars(length(min = 1, max = 512), regex(pattern = r"^[^\s]+$"))]
    pub image: String,
    /// The program and its first arguments; nothing is taken from the image's entry point.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 4096)))]
    pub command: Vec<String>,
    /// Further arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub args: Vec<String>,
    /// Environment of each process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<StdioEnv>,
}

/// One environment variable of a process: a value, or a key of a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"has(self.value) != has(self.secretRef)"#)
    .message("exactly one of value and secretRef is required"))]
#[serde(rename_all = "camelCase")]
pub struct StdioEnv {
    /// Name of the variable.
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$")
    )]
    pub name: String,
    /// Value of the variable. It is not a place for secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    /// Secret of the same namespace with the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
}
