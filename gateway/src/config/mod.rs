//! Configuration: a commented default file, overlaid by the environment, validated at start.

mod environment;
mod parse;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format, Toml};
use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::encryption::EncryptionKeys;

pub use environment::UnknownVariable;

/// The defaults, as they are documented: `config/gateway.toml`.
pub const DEFAULTS: &str = include_str!("../../../config/gateway.toml");

/// Everything the gateway is told from outside. See `config/gateway.toml` for the meaning of each field.
#[derive(Debug)]
pub struct Config {
    /// Address of the public HTTP surface.
    pub listen: SocketAddr,
    /// Address of the operational endpoints.
    pub admin_listen: SocketAddr,
    /// Base of the URLs that are handed out, without a slash at the end.
    pub public_url: Option<Url>,
    /// Origins of web pages that may speak to the MCP endpoints, besides that of `public_url`.
    pub allowed_origins: Vec<String>,
    /// Where the store is.
    pub database_url: Option<SecretString>,
    /// Where the cache is; in memory if absent.
    pub redis_url: Option<SecretString>,
    /// How many replicas share limits, until the cache has told.
    pub replicas: u32,
    /// Most requests under way at one time.
    pub requests_under_way: usize,
    /// Keys for stored credentials, where there are any.
    pub encryption_keys: Option<EncryptionKeys>,
    /// PEM of the key that signs tokens for stdio bridges.
    pub bridge_signing_key: Option<SecretString>,
    /// PEM of the keys that sign the audit record's checkpoints: the first one signs, all verify.
    pub audit_signing_key: Option<SecretString>,
    /// Namespace of the platform's own programs.
    pub platform_namespace: String,
    /// Ranges that may be dialled in spite of the platform's deny list.
    pub outbound_allow: Vec<IpNet>,
    /// A file of names and addresses that is asked before the system's resolver.
    pub hosts_file: Option<PathBuf>,
    /// Ranges of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Largest request body, in bytes.
    pub request_body_bytes: usize,
    /// How long a request that does not stream may take.
    pub request_timeout: Duration,
    /// How long requests in flight may take to finish at shutdown.
    pub shutdown_grace: Duration,
}

/// Why the configuration cannot be used. Values are quoted only where they are not secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable of ours that nobody reads.
    #[error(transparent)]
    Unknown(#[from] UnknownVariable),
    /// The built-in defaults cannot be read: a defect of this program.
    #[error("config/gateway.toml cannot be read: {0}")]
    Defaults(#[from] Box<figment::Error>),
    /// A value is not what the field needs.
    #[error("{field} (environment variable {variable}): {problem}")]
    Invalid {
        /// Key in `config/gateway.toml`.
        field: &'static str,
        /// The environment variable that sets it.
        variable: String,
        /// What is expected, and what was found unless it is secret.
        problem: String,
    },
}

/// The fields as text. Their names are the keys of the file and, in capitals, the variables.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    listen: String,
    admin_listen: String,
    public_url: String,
    allowed_origins: String,
    database_url: SecretString,
    redis_url: SecretString,
    replicas: String,
    requests_under_way: String,
    encryption_keys: SecretString,
    encryption_keys_file: String,
    bridge_signing_key: SecretString,
    audit_signing_key: SecretString,
    platform_namespace: String,
    outbound_allow: String,
    hosts_file: String,
    trusted_proxies: String,
    request_body_bytes: String,
    request_timeout_seconds: String,
    shutdown_grace_seconds: String,
}

impl Config {
    /// The configuration of this process.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load() -> Result<Self, ConfigError> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::read(variables)
    }

    /// The defaults, overlaid by the given variables (`AGENTAPI_…`; others are not looked at).
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn read(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let defaults = Figment::from(Toml::string(DEFAULTS));
        let overlay = environment::overlay(variables, &environment::keys(&defaults)?)?;
        let text: Text = defaults.merge(overlay).extract().map_err(Box::new)?;
        Self::parse(&text)
    }

    fn parse(text: &Text) -> Result<Self, ConfigError> {
        Ok(Self {
            listen: parse::address("listen", &text.listen)?,
            admin_listen: parse::address("admin_listen", &text.admin_listen)?,
            public_url: parse::base_url("public_url", &text.public_url)?,
            allowed_origins: parse::origins("allowed_origins", &text.allowed_origins)?,
            database_url: parse::secret(
                "database_url",
                &text.database_url,
                &["postgres://", "postgresql://", "sqlite:"],
            )?,
            redis_url: parse::secret(
                "redis_url",
                &text.redis_url,
                &["redis://", "rediss://", "https://", "http://"],
            )?,
            replicas: parse::number("replicas", &text.replicas, 1..=1000)? as u32,
            requests_under_way: parse::number(
                "requests_under_way",
                &text.requests_under_way,
                16..=1 << 20,
            )?,
            encryption_keys: parse::encryption_keys(
                &text.encryption_keys,
                &text.encryption_keys_file,
            )?,
            bridge_signing_key: parse::secret(
                "bridge_signing_key",
                &text.bridge_signing_key,
                &["-----BEGIN PRIVATE KEY-----"],
            )?,
            audit_signing_key: parse::secret(
                "audit_signing_key",
                &text.audit_signing_key,
                &["-----BEGIN PRIVATE KEY-----"],
            )?,
            platform_namespace: parse::dns_label("platform_namespace", &text.platform_namespace)?,
            outbound_allow: parse::networks("outbound_allow", &text.outbound_allow)?,
            hosts_file: parse::file("hosts_file", &text.hosts_file)?,
            trusted_proxies: parse::networks("trusted_proxies", &text.trusted_proxies)?,
            request_body_bytes: parse::number(
                "request_body_bytes",
                &text.request_body_bytes,
                1024..=256 << 20,
            )?,
            request_timeout: parse::seconds(
                "request_timeout_seconds",
                &text.request_timeout_seconds,
            )?,
            shutdown_grace: parse::seconds("shutdown_grace_seconds", &text.shutdown_grace_seconds)?,
        })
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
