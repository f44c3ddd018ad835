//! Where a user's own server is, and what is used of it.

use agentapi_crds::tenant_config::{
    BreakerConfig, CredentialHeader, CredentialScope, RemoteTransport, RetriesConfig,
    SecretReference, ServerConfig, ServerLimits, ServerTarget, ToolsConfig,
};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::credentials::AUTHORIZATION;
use super::{CredentialShape, Unfit};

/// Longest name, in bytes (RFC 1123 label).
const LONGEST_NAME: usize = 63;
/// Longest URL, in bytes; the same as of an `McpServer`.
const LONGEST_URL: usize = 1024;
/// Longest prefix, in bytes; the same as of an `McpServer`.
const LONGEST_PREFIX: usize = 40;
/// Most globs of a list, and longest glob; the same as of an `McpServer`.
const MOST_GLOBS: usize = 128;

/// The bounds of an `McpServer` that states none.
const LIMITS: ServerLimits = ServerLimits {
    request_bytes: 1 << 20,
    result_bytes: 1 << 20,
};
const TIMEOUT_SECONDS: u64 = 30;
const RETRIES: RetriesConfig = RetriesConfig {
    attempts: 2,
    backoff_milliseconds: 100,
};
const BREAKER: BreakerConfig = BreakerConfig {
    failures: 5,
    open_seconds: 30,
};

/// What a user says of a server, checked, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Absolute `http` or `https` URL of its MCP endpoint.
    pub url: String,
    /// What authenticates the gateway there.
    pub credentials: CredentialShape,
    /// Which of its tools are used, and under which prefix.
    pub tools: ToolsConfig,
}

/// Names are like those of Kubernetes, so that a name means one server whoever gave it.
///
/// # Errors
/// [`Unfit::Name`].
pub fn check_name(name: &str) -> Result<(), Unfit> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if fits { Ok(()) } else { Err(Unfit::Name) }
}

impl Settings {
    /// Checks what a user says. Whether the organization lets the address be dialled shows when it is.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub fn check(
        url: String,
        credentials: CredentialShape,
        tools: ToolsConfig,
    ) -> Result<Self, Unfit> {
        check_url(&url)?;
        if tools
            .prefix
            .as_deref()
            .is_some_and(|prefix| !is_prefix(prefix))
        {
            return Err(Unfit::Prefix);
        }
        for (list, globs) in [("allow", &tools.allow), ("deny", &tools.deny)] {
            let fits = |glob: &String| (1..=MOST_GLOBS).contains(&glob.len());
            if globs.len() > MOST_GLOBS || !globs.iter().all(fits) {
                return Err(Unfit::Globs(list));
            }
        }
        Ok(Self {
            url,
            credentials,
            tools,
        })
    }

    /// Whether another URL leads to the same scheme, host and port (RFC 6454): only
    /// there may credentials go that were given for this one.
    pub fn is_same_origin(&self, url: &str) -> bool {
        match (Url::parse(&self.url), Url::parse(url)) {
            (Ok(own), Ok(other)) => own.origin() == other.origin(),
            _ => false,
        }
    }

    /// The server as it is compiled. `id` and `version` stand in its references to
    /// secrets, so that a change of either makes another server.
    pub fn server(&self, name: &str, id: Uuid, version: u64) -> ServerConfig {
        let header = |header: &str, prefix: &str| CredentialHeader {
            header: header.to_owned(),
            prefix: prefix.to_owned(),
            secret: SecretReference {
                namespace: String::new(),
                name: id.to_string(),
                key: header.to_owned(),
                resource_version: version.to_string(),
            },
        };
        ServerConfig {
            name: name.to_owned(),
            target: ServerTarget::Remote {
                url: self.url.clone(),
                transport: RemoteTransport::StreamableHttp,
                ca_bundle: None,
            },
            credentials: match &self.credentials {
                CredentialShape::None => vec![],
                CredentialShape::Bearer => vec![header(AUTHORIZATION, "Bearer ")],
                CredentialShape::Headers(names) => {
                    names.iter().map(|name| header(name, "")).collect()
                }
            },
            oauth: None,
            credential_scope: CredentialScope::Organization,
            tools: self.tools.clone(),
            limits: LIMITS,
            timeout_seconds: TIMEOUT_SECONDS,
            retries: RETRIES,
            breaker: BREAKER,
        }
    }
}

fn check_url(url: &str) -> Result<(), Unfit> {
    if url.len() > LONGEST_URL {
        return Err(Unfit::Url("may have at most 1024 bytes"));
    }
    let parsed = Url::parse(url).map_err(|_| Unfit::Url("must be an absolute URL"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(Unfit::Url("must begin with http:// or https://"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Unfit::Url("must not hold a user or password: use auth"));
    }
    if parsed.fragment().is_some() {
        return Err(Unfit::Url("must not have a fragment"));
    }
    Ok(())
}

/// A prefix holds no `__`, which ends it in federated names.
fn is_prefix(prefix: &str) -> bool {
    (1..=LONGEST_PREFIX).contains(&prefix.len())
        && prefix
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !prefix.starts_with('-')
        && !prefix.ends_with('-')
}
