//! `TenantConfig`: everything the gateway needs to serve one organization, as
//! one document that the operator writes and the gateway reads.
//!
//! The document holds references to secrets, never their values. It is plain
//! data: ordered maps and lists only, so that equal configurations serialize
//! to equal bytes and [`TenantConfig::sealed`] can name them by their content.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use crate::mcp_server::{CredentialScope, PolicyMode, RemoteTransport};
pub use crate::organization::AuditDurability;
use crate::organization::Concurrency;
pub use crate::prompt_policy::{InjectionRule, Merge, SanitizeMode};

/// Version of the document that this build writes.
pub const SCHEMA_VERSION: u32 = 1;
/// Oldest reader that understands what this build writes.
pub const MIN_READER: u32 = 1;

/// One organization as the gateway serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantConfig {
    /// Version of this document's shape.
    pub schema_version: u32,
    /// Oldest [`SCHEMA_VERSION`] a reader must know to use this document safely.
    pub min_reader: u32,
    /// SHA-256 of the document without this field, in hexadecimal.
    pub revision: String,
    /// Name of the `Organization`.
    pub organization: String,
    /// What the database knows the tenant by; survives a restore of the cluster.
    pub tenant_id: Uuid,
    /// The organization's namespace, in which server secrets resolve.
    pub namespace: String,
    /// Name for people.
    pub display_name: String,
    /// The gateway refuses every request of a suspended organization.
    pub suspended: bool,
    /// Who may speak for the organization.
    pub identity: IdentityConfig,
    /// Destinations outside of the cluster that the gateway may dial for this organization.
    pub egress: Vec<EgressConfig>,
    /// Bounds on agent sessions.
    pub sessions: SessionsConfig,
    /// Request rates.
    pub rate_limits: RateLimitsConfig,
    /// Bounds on work under way at one time.
    #[serde(default, skip_serializing_if = "ConcurrencyConfig::is_default")]
    pub concurrency: ConcurrencyConfig,
    /// How the record of this organization is kept.
    pub audit: AuditConfig,
    /// Whether users may add MCP servers of their own. Absent means no, as in documents of before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub user_servers: bool,
    /// Who is sent what happens in the organization, ordered by name.
    pub event_sinks: Vec<EventSinkConfig>,
    /// MCP servers, ordered by name. Disabled ones are absent.
    pub servers: Vec<ServerConfig>,
    /// Prompt policies that apply, global ones first, each level by descending priority then name.
    pub prompts: Vec<PromptConfig>,
}

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TenantConfigError {
    /// Not a document of this shape.
    #[error("not a TenantConfig document: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written for readers newer than this build.
    #[error(
        "needs a reader of version {min_reader}, this build reads {SCHEMA_VERSION}: update the gateway"
    )]
    TooNew {
        /// The document's `minReader`.
        min_reader: u32,
    },
    /// The content is not what the revision says.
    #[error(
        "revision {stated} does not match the content ({computed}): the document was changed by someone else than the operator"
    )]
    RevisionMismatch {
        /// Revision that the document states.
        stated: String,
        /// Revision of the content found.
        computed: String,
    },
}

impl TenantConfig {
    /// Reads a document, refusing one that is too new or whose content does
    /// not hash to its revision.
    pub fn read(document: &str) -> Result<Self, TenantConfigError> {
        let head: Head = serde_json::from_str(document)?;
        if head.min_reader > SCHEMA_VERSION {
            return Err(TenantConfigError::TooNew {
                min_reader: head.min_reader,
            });
        }
        let config: Self = serde_json::from_str(document)?;
        let computed = config.content_hash()?;
        if computed != config.revision {
            return Err(TenantConfigError::RevisionMismatch {
                stated: config.revision,
                computed,
            });
        }
        Ok(config)
    }

    /// The same document with `revision` set to the hash of its content.
    pub fn sealed(mut self) -> Result<Self, serde_json::Error> {
        self.revision = self.content_hash()?;
        Ok(self)
    }

    fn content_hash(&self) -> Result<String, serde_json::Error> {
        let unsealed = Self {
            revision: String::new(),
            ..self.clone()
        };
        Ok(hex::encode(Sha256::digest(serde_json::to_vec(&unsealed)?)))
    }
}

/// What must be known about a document before the rest of it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    min_reader: u32,
}

/// Who may speak for an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityConfig {
    /// Token issuers the organization trusts.
    pub issuers: Vec<IssuerConfig>,
    /// Whether tokens of service accounts in the organization's namespace are accepted.
    pub service_accounts: bool,
}

/// One OpenID Connect or OAuth 2.0 issuer of JWTs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuerConfig {
    /// Exact value of the `iss` claim.
    pub issuer: String,
    /// Where the issuer's keys come from.
    pub keys: IssuerKeys,
    /// Accepted values of the `aud` claim; at least one.
    pub audiences: Vec<String>,
    /// Where in the claims the user, organization and roles are found.
    pub claims: ClaimPaths,
    /// Value that the organization claim must have.
    pub organization_value: String,
    /// How a person with a browser logs in at the issuer; absent where nobody can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LoginConfig>,
}

/// How a person with a browser logs in at an issuer (OpenID Connect Core 1.0, section 3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoginConfig {
    /// Identifier of a public client: PKCE takes the place of a client secret.
    pub client_id: String,
}

/// Source of an issuer's JSON Web Key Set (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IssuerKeys {
    /// Fetched from this URL.
    JwksUri(String),
    /// The key set itself, as JSON text.
    Inline(String),
    /// Fetched from the `jwks_uri` of the issuer's discovery document (RFC 8414, OpenID Connect Discovery 1.0).
    Discovery,
}

/// Dotted paths into the claims of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimPaths {
    /// The user; `sub` unless said otherwise.
    pub user: String,
    /// The organization; `org_id` unless said otherwise.
    pub organization: String,
    /// The roles, a string or a list of strings; `roles` unless said otherwise.
    pub roles: String,
}

/// One permitted destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EgressConfig {
    /// The addresses or the host name permitted.
    pub destination: EgressDestination,
    /// Permitted TCP ports; empty means all.
    pub ports: Vec<u16>,
}

/// What an egress rule names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EgressDestination {
    /// A range of addresses.
    Cidr(ipnet::IpNet),
    /// A host name, or `*.` and a suffix.
    Host(String),
}

/// Bounds on agent sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionsConfig {
    /// Most sessions a user may have open.
    pub max_per_user: u32,
    /// Seconds without a request after which a session ends.
    pub idle_timeout_seconds: u64,
    /// Seconds after creation at which a session ends in any case.
    pub max_lifetime_seconds: u64,
}

/// Request rates of one class of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateConfig {
    /// Sustained requests a minute.
    pub requests_per_minute: u32,
    /// Requests that may come at once.
    pub burst: u32,
}

/// Class of request that a rate is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestClass {
    /// The HTTP API.
    Api,
    /// MCP messages.
    Mcp,
    /// Model calls.
    Models,
}

/// All rates of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitsConfig {
    /// Rate of each user in each class without an override.
    pub per_user: RateConfig,
    /// Rates of each user by class.
    pub overrides: BTreeMap<RequestClass, RateConfig>,
    /// Rate of the whole organization, over all users and classes.
    pub organization: Option<RateConfig>,
}

/// How much of an organization may be under way at one time, over all replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConcurrencyConfig {
    /// Requests.
    pub requests: u32,
    /// Event streams.
    pub streams: u32,
}

impl Default for ConcurrencyConfig {
    fn default() -> Self {
        Concurrency::default().into()
    }
}

impl ConcurrencyConfig {
    /// Whether an organization that says nothing has it: it is not in the document then.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl From<Concurrency> for ConcurrencyConfig {
    fn from(concurrency: Concurrency) -> Self {
        let Concurrency { requests, streams } = concurrency;
        Self { requests, streams }
    }
}

/// How the record of an organization is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditConfig {
    /// Days that records are kept: 30, 90, 365 or 2555.
    pub retention_days: u32,
    /// When tool and model calls are acknowledged.
    pub durability: AuditDurability,
}

/// A webhook that is sent what happens in the organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSinkConfig {
    /// Name, unique in the organization.
    pub name: String,
    /// Absolute http or https URL that events are posted to.
    pub url: String,
    /// What signs them.
    pub secret: SecretReference,
    /// Globs of event types; empty sends all.
    pub events: Vec<String>,
}

/// One MCP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerConfig {
    /// Name of the `McpServer`, unique in the organization.
    pub name: String,
    /// Where the server is.
    pub target: ServerTarget,
    /// Headers that authenticate the gateway to the server.
    pub credentials: Vec<CredentialHeader>,
    /// Whose credentials are sent.
    pub credential_scope: CredentialScope,
    /// How tokens for the server are had; absent where it takes none of an authorization server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<OAuthConfig>,
    /// Which tools are offered, and under which names.
    pub tools: ToolsConfig,
    /// Bounds on messages.
    pub limits: ServerLimits,
    /// Seconds of silence after which a call is given up.
    pub timeout_seconds: u64,
    /// How idempotent work is tried again.
    pub retries: RetriesConfig,
    /// When the server is left alone for a while.
    pub breaker: BreakerConfig,
}

/// How idempotent work is tried again; never after the first byte of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetriesConfig {
    /// Attempts after the first.
    pub attempts: u32,
    /// First pause between attempts, in milliseconds; doubles with jitter.
    pub backoff_milliseconds: u64,
}

/// When a server is left alone for a while, for each kind of operation by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakerConfig {
    /// Failures in a row after which it is left alone.
    pub failures: u32,
    /// Seconds for which it is left alone.
    pub open_seconds: u64,
}

/// Where a server is, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ServerTarget {
    /// A URL outside of the platform's hands; every address is checked by the dialer.
    Remote {
        /// Absolute `http` or `https` URL.
        url: String,
        /// Wire protocol.
        transport: RemoteTransport,
        /// PEM certificates trusted for this server instead of the system's.
        ca_bundle: Option<String>,
    },
    /// A Service that the operator made in the organization's own namespace.
    InCluster {
        /// Namespace of the Service; always the organization's.
        namespace: String,
        /// Name of the Service.
        service: String,
        /// Port of the Service.
        port: u16,
        /// HTTP path of the MCP endpoint.
        path: String,
        /// Whether the platform's bridge answers there, which lets nobody in but
        /// the gateway, by a token of its own. No other server is given one.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        bridge: bool,
    },
    /// A child process of the gateway; in the embedded mode only.
    Process {
        /// Program and its first arguments.
        command: Vec<String>,
        /// Further arguments.
        args: Vec<String>,
        /// The whole environment of the child.
        env: BTreeMap<String, ProcessValue>,
    },
}

/// Value of a child's environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProcessValue {
    /// The value itself.
    Literal(String),
    /// Read from a Secret when the child starts.
    Secret(SecretReference),
}

/// One header that carries a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialHeader {
    /// Header name, for example `authorization`.
    pub header: String,
    /// Text before the secret, for example `Bearer `.
    pub prefix: String,
    /// Where the secret is.
    pub secret: SecretReference,
}

/// How tokens for a server are had of an authorization server (OAuth 2.0).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuthConfig {
    /// Which authorization server, or how it is found.
    pub authorization_server: AuthorizationServer,
    /// The gateway's registration there; absent where it presents a document of its own.
    pub client: Option<OAuthClientReference>,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// Resource that tokens are asked for (RFC 8707); the server's own URL if absent.
    pub resource: Option<String>,
}

/// An authorization server, or how it is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum AuthorizationServer {
    /// github.com.
    GitHub,
    /// accounts.google.com.
    Google,
    /// Microsoft Entra.
    Azure {
        /// Identifier or domain of the Entra tenant.
        tenant: String,
    },
    /// Auth0.
    Auth0 {
        /// Domain of the Auth0 tenant.
        domain: String,
    },
    /// Any OpenID Connect provider, by its discovery document.
    Oidc {
        /// Its issuer, exactly.
        issuer: String,
    },
    /// As the server's own metadata says (RFC 9728).
    Mcp {
        /// The only issuer that the server may name, if one was stated.
        issuer: Option<String>,
    },
}

/// The gateway's registration at an authorization server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OAuthClientReference {
    /// Where the client's identifier is.
    pub id: SecretReference,
    /// Where the client's secret is; absent for a public client.
    pub secret: Option<SecretReference>,
    /// Hosts that the secret may be sent to; empty means whichever the authorization server names.
    pub allowed_hosts: Vec<String>,
}

/// A key of a Secret at one version; never its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Name of the Secret.
    pub name: String,
    /// Key in the Secret's data.
    pub key: String,
    /// Version that was validated; a newer one is another document revision.
    pub resource_version: String,
}

/// Which tools of a server are offered, and under which names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolsConfig {
    /// Prefix of federated names before `__`; the server's name if absent.
    pub prefix: Option<String>,
    /// Globs of offered tools; empty offers all.
    pub allow: Vec<String>,
    /// Globs of withheld tools; wins over `allow`.
    pub deny: Vec<String>,
}

/// Bounds on messages to and from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerLimits {
    /// Largest request forwarded, in bytes.
    pub request_bytes: u64,
    /// Largest message accepted from the server, in bytes.
    pub result_bytes: u64,
}

/// Level of a prompt policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PromptLevel {
    /// From the platform's namespace; for all organizations.
    Global,
    /// From the organization's namespace.
    Organization,
}

/// One prompt policy, resolved for the organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptConfig {
    /// Name of the `PromptPolicy`.
    pub name: String,
    /// Level it comes from.
    pub level: PromptLevel,
    /// Order within the level; higher first.
    pub priority: i32,
    /// Whom the policy applies to.
    pub r#match: PromptMatch,
    /// minijinja template.
    pub template: String,
    /// Values under `vars` in the template.
    pub variables: BTreeMap<String, String>,
    /// How the text joins what is above it.
    pub merge: Merge,
    /// Lower levels may not replace the text.
    pub locked: bool,
    /// How rendered values are checked.
    pub sanitize: SanitizeConfig,
    /// Whether the policy takes effect or reports only.
    pub mode: PolicyMode,
}

/// Whom a prompt policy applies to: every non-empty list must have a match (globs).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptMatch {
    /// Names of agents.
    pub agents: Vec<String>,
    /// Names of models.
    pub models: Vec<String>,
    /// Roles of the caller.
    pub roles: Vec<String>,
    /// User ids.
    pub users: Vec<String>,
}

/// How text is checked for injection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SanitizeConfig {
    /// What happens on a finding.
    pub mode: SanitizeMode,
    /// Built-in rules that are on.
    pub rules: Vec<InjectionRule>,
    /// Further regular expressions that count as findings.
    pub patterns: Vec<String>,
    /// Longest text, in characters.
    pub max_length: u32,
}

#[cfg(test)]
#[path = "tenant_config_tests.rs"]
mod tests;
