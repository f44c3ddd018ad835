//! Checks an `Organization` beyond what its schema can say, and resolves every default.

use std::collections::BTreeMap;
use std::time::Duration;

use agentapi_crds::organization::{
    ContainerDefaults, DeletionPolicy, NamespaceSelector, Rate, Subject,
};
use agentapi_crds::quantity::ResourceList;
use agentapi_crds::tenant_config::{
    self as document, EgressConfig, EgressDestination, RequestClass,
};
use agentapi_crds::{Organization, OrganizationSpec, duration, names};
use uuid::Uuid;

use super::egress::check_egress;
use super::identity::check_identity;
use super::names::{name_of, namespace_of, tenant_id_of, uid_of};
use super::supported::unsupported_fields;
use crate::object::Owner;
use crate::problem::Problem;
use crate::settings::Settings;

/// An organization with every default resolved: planning it cannot fail.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedOrganization {
    /// Name of the `Organization`.
    pub name: String,
    /// UID of the `Organization`.
    pub uid: String,
    /// What the database knows the tenant by.
    pub tenant_id: Uuid,
    /// The organization's namespace.
    pub namespace: String,
    /// Name for people.
    pub display_name: String,
    /// Who administers the namespace.
    pub admins: Vec<Subject>,
    /// Who may look at the namespace.
    pub viewers: Vec<Subject>,
    /// Hard limits of the ResourceQuota.
    pub quota: ResourceList,
    /// Limits and requests of containers that state none.
    pub container_defaults: Option<ContainerDefaults>,
    /// Prefixes that images must start with.
    pub registries: Vec<String>,
    /// Names of the Secrets with which workloads pull images.
    pub image_pull_secrets: Vec<String>,
    /// Destinations outside of the cluster.
    pub egress: Vec<EgressConfig>,
    /// Namespaces that may connect to the organization's workloads.
    pub allow_from: Vec<NamespaceSelector>,
    /// Who may speak for the organization.
    pub identity: document::IdentityConfig,
    /// Bounds on agent sessions.
    pub sessions: document::SessionsConfig,
    /// Request rates.
    pub rate_limits: document::RateLimitsConfig,
    /// Whether users may add MCP servers of their own.
    pub user_servers: bool,
    /// Bounds on work under way.
    pub concurrency: document::ConcurrencyConfig,
    /// How the record is kept.
    pub audit: document::AuditConfig,
    /// Every request is refused.
    pub suspended: bool,
    /// What deletion does to the namespace.
    pub deletion_policy: DeletionPolicy,
    /// Paths of the fields set that this version does not act on.
    pub unsupported: Vec<&'static str>,
}

impl ValidatedOrganization {
    /// Whom the organization's objects belong to.
    pub fn owner(&self) -> Owner {
        Owner {
            organization: self.name.clone(),
            uid: self.uid.clone(),
            server: None,
        }
    }

    /// Host names of declared egress, which NetworkPolicies cannot express.
    pub fn egress_hosts(&self) -> Vec<&str> {
        let destinations = self.egress.iter().map(|rule| &rule.destination);
        destinations
            .filter_map(|destination| match destination {
                EgressDestination::Host(host) => Some(host.as_str()),
                EgressDestination::Cidr(_) => None,
            })
            .collect()
    }
}

/// The organization with every default resolved, or all that must change.
pub fn validate(
    organization: &Organization,
    settings: &Settings,
) -> Result<ValidatedOrganization, Vec<Problem>> {
    let spec = &organization.spec;
    let mut problems = Vec::new();
    let namespace = check_namespace(organization, settings, &mut problems);
    let tenant_id = check_tenant_id(organization, &mut problems);
    let egress = check_egress(spec, &mut problems);
    let sessions = check_sessions(spec, &mut problems);
    let identity = check_identity(organization, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let name = name_of(organization).to_owned();
    Ok(ValidatedOrganization {
        uid: uid_of(organization),
        tenant_id,
        namespace,
        display_name: spec.display_name.clone().unwrap_or_else(|| name.clone()),
        name,
        admins: spec.admins.clone(),
        viewers: spec.viewers.clone(),
        quota: spec.quota.clone(),
        container_defaults: spec.container_defaults.clone(),
        registries: spec.registries.clone(),
        image_pull_secrets: spec
            .image_pull_secrets
            .iter()
            .map(|secret| secret.name.clone())
            .collect(),
        egress,
        allow_from: spec.network.allow_from.clone(),
        identity,
        sessions,
        rate_limits: rate_limits(spec),
        user_servers: spec.user_servers,
        concurrency: spec.concurrency.into(),
        audit: document::AuditConfig {
            retention_days: spec.audit.retention.days(),
            durability: spec.audit.durability,
        },
        suspended: spec.suspended,
        deletion_policy: spec.deletion_policy,
        unsupported: unsupported_fields(spec),
    })
}

fn check_namespace(
    organization: &Organization,
    settings: &Settings,
    problems: &mut Vec<Problem>,
) -> String {
    let namespace = namespace_of(organization);
    let platform = [
        settings.platform_namespace.as_str(),
        names::TENANTS_NAMESPACE,
        names::CREDENTIALS_NAMESPACE,
        "default",
    ];
    if platform.contains(&namespace.as_str()) || namespace.starts_with("kube-") {
        problems.push(Problem::invalid(
            "spec.namespace",
            format!("{namespace} belongs to the platform or the cluster: recreate the organization with another"),
        ));
    }
    namespace
}

fn check_tenant_id(organization: &Organization, problems: &mut Vec<Problem>) -> Uuid {
    let text = tenant_id_of(organization);
    text.parse().unwrap_or_else(|_| {
        problems.push(Problem::invalid(
            "spec.tenantId",
            format!("`{text}` is not a UUID"),
        ));
        Uuid::nil()
    })
}

fn check_sessions(
    spec: &OrganizationSpec,
    problems: &mut Vec<Problem>,
) -> document::SessionsConfig {
    let idle = positive(
        &spec.sessions.idle_timeout,
        "spec.sessions.idleTimeout",
        problems,
    );
    let lifetime = positive(
        &spec.sessions.max_lifetime,
        "spec.sessions.maxLifetime",
        problems,
    );
    if idle > lifetime && lifetime > Duration::ZERO {
        problems.push(Problem::invalid(
            "spec.sessions.idleTimeout",
            "must not be longer than maxLifetime",
        ));
    }
    document::SessionsConfig {
        max_per_user: spec.sessions.max_per_user,
        idle_timeout_seconds: idle.as_secs(),
        max_lifetime_seconds: lifetime.as_secs(),
    }
}

fn positive(text: &str, field: &str, problems: &mut Vec<Problem>) -> Duration {
    match duration::parse(text) {
        Ok(period) if period >= Duration::from_secs(1) => period,
        Ok(_) => {
            problems.push(Problem::invalid(field, "must be at least 1s"));
            Duration::ZERO
        }
        Err(error) => {
            problems.push(Problem::invalid(field, error.to_string()));
            Duration::ZERO
        }
    }
}

fn rate_limits(spec: &OrganizationSpec) -> document::RateLimitsConfig {
    let limits = &spec.rate_limits;
    let overrides = limits.overrides.clone().unwrap_or_default();
    let by_class = [
        (RequestClass::Api, overrides.api),
        (RequestClass::Mcp, overrides.mcp),
        (RequestClass::Models, overrides.models),
    ];
    let overrides: BTreeMap<_, _> = by_class
        .into_iter()
        .filter_map(|(class, rate)| rate.map(|rate| (class, rate_config(rate))))
        .collect();
    document::RateLimitsConfig {
        per_user: document::RateConfig {
            requests_per_minute: limits.requests_per_minute,
            burst: limits.burst,
        },
        overrides,
        organization: limits.organization.map(|rate| document::RateConfig {
            requests_per_minute: rate.requests_per_minute,
            burst: rate.burst,
        }),
    }
}

fn rate_config(rate: Rate) -> document::RateConfig {
    document::RateConfig {
        requests_per_minute: rate.requests_per_minute,
        burst: rate.burst,
    }
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
