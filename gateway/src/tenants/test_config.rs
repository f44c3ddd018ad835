//! A document for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use agentapi_crds::names;
use agentapi_crds::tenant_config::{
    AuditConfig, AuditDurability, BreakerConfig, ConcurrencyConfig, CredentialScope,
    EventSinkConfig, IdentityConfig, MIN_READER, RateConfig, RateLimitsConfig, RemoteTransport,
    RetriesConfig, SCHEMA_VERSION, SecretReference, ServerConfig, ServerLimits, ServerTarget,
    SessionsConfig, TenantConfig, ToolsConfig,
};
use async_trait::async_trait;
use secrecy::SecretString;
use uuid::Uuid;

use super::Environment;
use crate::auth::DevelopmentIssuer;
use crate::upstream::{Dialer, NoTokens, SecretError, Secrets};

/// An organization without issuers, servers and prompts.
pub(crate) fn config(organization: &str) -> TenantConfig {
    let rate = RateConfig {
        requests_per_minute: 6000,
        burst: 1000,
    };
    TenantConfig {
        schema_version: SCHEMA_VERSION,
        min_reader: MIN_READER,
        revision: String::new(),
        organization: organization.to_owned(),
        tenant_id: Uuid::new_v5(&Uuid::NAMESPACE_URL, organization.as_bytes()),
        namespace: format!("org-{organization}"),
        display_name: organization.to_owned(),
        suspended: false,
        identity: IdentityConfig {
            issuers: vec![],
            service_accounts: false,
        },
        egress: vec![],
        sessions: SessionsConfig {
            max_per_user: 3,
            idle_timeout_seconds: 600,
            max_lifetime_seconds: 3600,
        },
        rate_limits: RateLimitsConfig {
            per_user: rate,
            overrides: BTreeMap::new(),
            organization: None,
        },
        concurrency: ConcurrencyConfig::default(),
        audit: AuditConfig {
            retention_days: 365,
            durability: AuditDurability::Synchronous,
        },
        user_servers: false,
        event_sinks: vec![],
        servers: vec![],
        prompts: vec![],
    }
}

/// A remote server that nobody dials.
pub(crate) fn server(name: &str) -> ServerConfig {
    ServerConfig {
        name: name.to_owned(),
        target: ServerTarget::Remote {
            url: format!("https://{name}.example/mcp"),
            transport: RemoteTransport::StreamableHttp,
            ca_bundle: None,
        },
        credentials: vec![],
        credential_scope: CredentialScope::Organization,
        oauth: None,
        tools: ToolsConfig::default(),
        limits: ServerLimits {
            request_bytes: 1 << 20,
            result_bytes: 1 << 20,
        },
        timeout_seconds: 30,
        retries: RetriesConfig {
            attempts: 2,
            backoff_milliseconds: 10,
        },
        breaker: BreakerConfig {
            failures: 5,
            open_seconds: 30,
        },
    }
}

/// Nothing may be dialled, there are no secrets.
pub(crate) fn environment(development: Option<DevelopmentIssuer>) -> Environment {
    Environment {
        dialer: Dialer::new(vec![]),
        secrets: Arc::new(NoSecrets),
        tokens: Arc::new(NoTokens),
        development,
        processes: false,
        bridges: None,
        metrics: crate::telemetry::Metrics::new(),
    }
}

/// A sink in the credentials of the platform. Without declared egress nothing reaches it.
pub(crate) fn event_sink(url: String) -> EventSinkConfig {
    EventSinkConfig {
        name: "hook".to_owned(),
        url,
        secret: SecretReference {
            namespace: names::CREDENTIALS_NAMESPACE.to_owned(),
            name: "hook".to_owned(),
            key: "value".to_owned(),
            resource_version: "1".to_owned(),
        },
        events: vec![],
    }
}

/// Signs the events of every sink.
pub(crate) const SIGNING_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Has the secrets of event sinks, and no others.
pub(crate) struct SinkSecrets;

#[async_trait]
impl Secrets for SinkSecrets {
    async fn read(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        match reference.namespace == names::CREDENTIALS_NAMESPACE {
            true => Ok(SecretString::from(SIGNING_SECRET)),
            false => NoSecrets.read(reference).await,
        }
    }
}

/// Has no secret.
pub(crate) struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn read(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        let SecretReference {
            namespace,
            name,
            key,
            ..
        } = reference.clone();
        Err(SecretError::Missing {
            namespace,
            name,
            key,
        })
    }
}
