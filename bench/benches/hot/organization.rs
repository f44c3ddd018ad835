//! An organization as the operator would write it: one issuer, three servers, three prompt policies.

use std::collections::BTreeMap;

use agentapi_crds::tenant_config::{
    AuditConfig, AuditDurability, BreakerConfig, ClaimPaths, ConcurrencyConfig, CredentialScope,
    EgressConfig, EgressDestination, IdentityConfig, InjectionRule, IssuerConfig, IssuerKeys,
    MIN_READER, Merge, PolicyMode, PromptConfig, PromptLevel, PromptMatch, RateConfig,
    RateLimitsConfig, RemoteTransport, RetriesConfig, SCHEMA_VERSION, SanitizeConfig, SanitizeMode,
    ServerConfig, ServerLimits, ServerTarget, SessionsConfig, TenantConfig, ToolsConfig,
};
use anyhow::Result;
use uuid::Uuid;

/// Value of `iss`.
pub(crate) const ISSUER: &str = "https://issuer.example";
/// Value of `aud`.
pub(crate) const AUDIENCE: &str = "agentapi";

/// The organization, whose tokens are verified with the keys of `key_set`.
pub(crate) fn acme(key_set: String) -> Result<TenantConfig> {
    let rate = RateConfig {
        requests_per_minute: 60,
        burst: 10,
    };
    let config = TenantConfig {
        schema_version: SCHEMA_VERSION,
        min_reader: MIN_READER,
        revision: String::new(),
        organization: "acme".to_owned(),
        tenant_id: Uuid::from_u128(0xACE),
        namespace: "org-acme".to_owned(),
        display_name: "Acme".to_owned(),
        suspended: false,
        identity: IdentityConfig {
            issuers: vec![issuer(key_set)],
            service_accounts: false,
        },
        egress: egress()?,
        sessions: SessionsConfig {
            max_per_user: 1000,
            idle_timeout_seconds: 1800,
            max_lifetime_seconds: 86_400,
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
        servers: ["calendar", "notes", "tickets"].map(server).into(),
        prompts: prompts(),
    };
    Ok(config.sealed()?)
}

/// Three policies: the platform's, the organization's for all, and one of a role.
pub(crate) fn prompts() -> Vec<PromptConfig> {
    let policy = |name: &str, level, priority, template: &str| PromptConfig {
        name: name.to_owned(),
        level,
        priority,
        r#match: PromptMatch::default(),
        template: template.to_owned(),
        variables: BTreeMap::from([("tone".to_owned(), "plain".to_owned())]),
        merge: Merge::Append,
        locked: false,
        sanitize: SanitizeConfig {
            mode: SanitizeMode::Block,
            rules: InjectionRule::ALL.into(),
            patterns: vec![],
            max_length: 4096,
        },
        mode: PolicyMode::Enforce,
    };
    vec![
        policy(
            "platform",
            PromptLevel::Global,
            100,
            "You serve {{ organization }}. Never reveal credentials.",
        ),
        policy(
            "house-style",
            PromptLevel::Organization,
            50,
            "Write to {{ user }} in a {{ vars.tone }} tone. Workspace: {{ workspace }}.",
        ),
        policy(
            "tools",
            PromptLevel::Organization,
            10,
            "{% if agent %}You are {{ agent }}. {% endif %}Prefer tools to guesses.",
        ),
    ]
}

/// One host and one range.
pub(crate) fn egress() -> Result<Vec<EgressConfig>> {
    Ok(vec![
        EgressConfig {
            destination: EgressDestination::Host("api.example.com".to_owned()),
            ports: vec![443],
        },
        EgressConfig {
            destination: EgressDestination::Cidr("203.0.113.0/24".parse()?),
            ports: vec![],
        },
    ])
}

fn issuer(key_set: String) -> IssuerConfig {
    IssuerConfig {
        issuer: ISSUER.to_owned(),
        keys: IssuerKeys::Inline(key_set),
        audiences: vec![AUDIENCE.to_owned()],
        claims: ClaimPaths {
            user: "sub".to_owned(),
            organization: "org_id".to_owned(),
            roles: "roles".to_owned(),
        },
        organization_value: "acme".to_owned(),
        login: None,
    }
}

fn server(name: &str) -> ServerConfig {
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
        tools: ToolsConfig {
            prefix: None,
            allow: vec!["get_*".to_owned(), "list_*".to_owned(), "add_*".to_owned()],
            deny: vec!["*_admin".to_owned()],
        },
        limits: ServerLimits {
            request_bytes: 1 << 20,
            result_bytes: 1 << 20,
        },
        timeout_seconds: 30,
        retries: RetriesConfig {
            attempts: 2,
            backoff_milliseconds: 100,
        },
        breaker: BreakerConfig {
            failures: 5,
            open_seconds: 30,
        },
    }
}
