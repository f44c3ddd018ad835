//! MCP servers as they are sent and received.

use std::collections::BTreeMap;

use agentapi_crds::tenant_config::ToolsConfig;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::{ErrorCode, Problem};
use crate::auth::Caller;
use crate::domain::user_servers::{CredentialShape, Credentials};
use crate::store::{McpConfig, TenantId};
use crate::upstream::{Inspection, Server, UpstreamError};

/// An MCP server that the caller reaches. Secrets are in no answer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct McpServerDocument {
    id: Uuid,
    organization: String,
    /// What it is called in `/mcp/{server}`, and before `__` in federated names unless it has a prefix.
    pub(super) name: String,
    pub(super) source: Source,
    /// Where it is; of users' own servers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://notes.example.com/mcp")]
    url: Option<String>,
    /// How the gateway authenticates to it; of users' own servers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<AuthDocument>,
    /// Which of its tools are used; of users' own servers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<ToolsDocument>,
    /// Whether the organization has a server of the same name, which is served in its place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shadowed: bool,
    /// Counts its changes; of users' own servers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
}

/// Who has declared a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    /// The organization, by an `McpServer` in Kubernetes: everybody's, and changed there.
    Kubernetes,
    /// The caller, by this API.
    User,
}

impl Source {
    const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::User => "user",
        }
    }
}

/// How the gateway authenticates to a server, without the secrets.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuthDocument {
    r#type: AuthType,
    /// Names of the header fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<String>,
}

/// A way to authenticate.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum AuthType {
    /// Not at all.
    None,
    /// By a bearer token.
    Bearer,
    /// By header fields.
    Headers,
}

impl From<CredentialShape> for AuthDocument {
    fn from(shape: CredentialShape) -> Self {
        let (r#type, headers) = match shape {
            CredentialShape::None => (AuthType::None, vec![]),
            CredentialShape::Bearer => (AuthType::Bearer, vec![]),
            CredentialShape::Headers(names) => (AuthType::Headers, names),
        };
        Self { r#type, headers }
    }
}

/// Which tools of a server are used.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ToolsDocument {
    /// Stands before `__` in federated names; the server's name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 40)]
    prefix: Option<String>,
    /// Globs of the tools that are used; empty means all.
    #[serde(default)]
    #[schema(max_items = 128)]
    allow: Vec<String>,
    /// Globs of the tools that are not used; wins over `allow`.
    #[serde(default)]
    #[schema(max_items = 128)]
    deny: Vec<String>,
}

impl From<ToolsConfig> for ToolsDocument {
    fn from(config: ToolsConfig) -> Self {
        Self {
            prefix: config.prefix,
            allow: config.allow,
            deny: config.deny,
        }
    }
}

impl From<ToolsDocument> for ToolsConfig {
    fn from(document: ToolsDocument) -> Self {
        Self {
            prefix: document.prefix,
            allow: document.allow,
            deny: document.deny,
        }
    }
}

/// What authenticates the gateway to a server: one of the two.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AuthBody {
    /// A bearer token.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 8192)]
    bearer: Option<SecretString>,
    /// Secrets by the names of the header fields that carry them, eight at most.
    #[schema(value_type = Option<BTreeMap<String, String>>, example = json!({ "X-Api-Key": "…" }))]
    headers: Option<BTreeMap<String, SecretString>>,
}

impl AuthBody {
    /// The credentials that it says; none where there is no body.
    pub(super) fn credentials(auth: Option<Self>) -> Result<Credentials, Problem> {
        match auth {
            None => Ok(Credentials::None),
            Some(Self {
                bearer: Some(token),
                headers: None,
            }) => Ok(Credentials::Bearer(token)),
            Some(Self {
                bearer: None,
                headers: Some(fields),
            }) => Ok(Credentials::Headers(fields)),
            Some(_) => Err(Problem::new(
                ErrorCode::InvalidRequest,
                "auth must have either bearer or headers",
            )),
        }
    }
}

/// What an own server is made from.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateMcpServer {
    /// What to call it: lower-case letters, digits and hyphens.
    #[schema(min_length = 1, max_length = 63, example = "notes")]
    pub(super) name: String,
    /// Its MCP endpoint (Streamable HTTP).
    #[schema(max_length = 1024, example = "https://notes.example.com/mcp")]
    pub(super) url: String,
    /// What authenticates the gateway to it; nothing if absent. Kept encrypted.
    pub(super) auth: Option<AuthBody>,
    /// Which of its tools are used.
    #[serde(default)]
    pub(super) tools: ToolsDocument,
}

/// What an own server becomes. Its name stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ReplaceMcpServer {
    /// Its MCP endpoint (Streamable HTTP).
    #[schema(max_length = 1024, example = "https://notes.example.com/mcp")]
    pub(super) url: String,
    /// What authenticates the gateway to it; `null` for nothing. If absent, the
    /// credentials stay as they are, which needs the same scheme, host and port in `url`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<AuthBody>)]
    pub(super) auth: Option<Option<AuthBody>>,
    /// Which of its tools are used.
    #[serde(default)]
    pub(super) tools: ToolsDocument,
}

/// Tells `null` from absent.
fn present<'de, D: Deserializer<'de>>(body: D) -> Result<Option<Option<AuthBody>>, D::Error> {
    Option::deserialize(body).map(Some)
}

/// A part of the list of servers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct McpServerList {
    /// The organization's servers by name, then the caller's own by name.
    pub(super) items: Vec<McpServerDocument>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_cursor: Option<String>,
}

impl McpServerDocument {
    /// A user's own server.
    pub(super) fn own(caller: &Caller, config: McpConfig) -> Self {
        Self {
            id: config.id,
            organization: caller.tenant.config.organization.clone(),
            shadowed: caller.tenant.servers.contains_key(&config.name),
            name: config.name,
            source: Source::User,
            url: Some(config.settings.url),
            auth: Some(config.settings.credentials.into()),
            tools: Some(config.settings.tools.into()),
            version: Some(config.version),
            created_at: Some(config.created_at),
            updated_at: Some(config.updated_at),
        }
    }

    /// A server of the organization. Where it is and how it is reached is not for its users.
    pub(super) fn of_organization(caller: &Caller, server: &Server) -> Self {
        Self {
            id: id_of(caller.tenant_id(), server.name()),
            organization: caller.tenant.config.organization.clone(),
            name: server.name().to_owned(),
            source: Source::Kubernetes,
            url: None,
            auth: None,
            tools: None,
            shadowed: false,
            version: None,
            created_at: None,
            updated_at: None,
        }
    }

    /// Its place in the list.
    pub(super) fn cursor(&self) -> String {
        format!("{}/{}", self.source.name(), self.name)
    }
}

/// The id of an organization's server: the same wherever and whenever it is asked for.
pub(super) fn id_of(tenant: TenantId, server: &str) -> Uuid {
    Uuid::new_v5(&tenant.0, server.as_bytes())
}

/// What came of a test.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct McpServerTest {
    /// Whether the server answered as an MCP server does.
    pub(super) ok: bool,
    /// How long connecting and listing its tools took in all.
    latency_milliseconds: f64,
    /// The revision of MCP that it chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2025-11-25")]
    protocol_version: Option<String>,
    /// What it says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    server_info: Option<serde_json::Value>,
    /// What it says it can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    capabilities: Option<serde_json::Value>,
    /// The tools of it that are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Vec<ToolDocument>>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureDocument>,
}

/// A tool, as its server describes it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ToolDocument {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// Why a server cannot be used.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct FailureDocument {
    /// For programs; the same as in the errors of MCP calls.
    #[schema(example = "upstream_unreachable")]
    code: &'static str,
    /// For people.
    message: String,
    /// Whether the same may succeed later.
    retryable: bool,
}

impl McpServerTest {
    /// What was found within a time.
    pub(super) fn new(found: Result<Inspection, UpstreamError>, took: std::time::Duration) -> Self {
        let nothing = Self {
            ok: false,
            latency_milliseconds: took.as_secs_f64() * 1e3,
            protocol_version: None,
            server_info: None,
            capabilities: None,
            tools: None,
            failure: None,
        };
        match found {
            Ok(found) => Self {
                ok: true,
                protocol_version: Some(found.revision),
                server_info: Some(found.server_info),
                capabilities: Some(found.capabilities),
                tools: Some(found.tools.into_iter().map(ToolDocument::of).collect()),
                ..nothing
            },
            Err(error) => Self {
                failure: Some(FailureDocument {
                    code: error.code(),
                    message: error.to_string(),
                    retryable: error.retryable(),
                }),
                ..nothing
            },
        }
    }
}

impl ToolDocument {
    fn of((name, tool): (String, serde_json::Value)) -> Self {
        let description = tool.get("description").and_then(serde_json::Value::as_str);
        Self {
            name,
            description: description.map(str::to_owned),
        }
    }
}
