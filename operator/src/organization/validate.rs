//! Checks an `Organization` beyond what its schema can say, and resolves every default.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use agentapi_crds::organization::{
    ContainerDefaults, DeletionPolicy, EgressRule, Issuer, NamespaceSelector, Rate, Subject,
};
use agentapi_crds::quantity::ResourceList;
use agentapi_crds::tenant_config::{
    self as document, EgressConfig, EgressDestination, RequestClass,
};
use agentapi_crds::{Organization, OrganizationSpec, duration, names};
use ipnet::IpNet;
use uuid::Uuid;

use super::supported::unsupported_fields;
use crate::object::Owner;
use crate::problem::Problem;
use crate::settings::Settings;

/// Addresses of cloud metadata services, which nothing of a tenant may reach.
pub(crate) const METADATA_ADDRESSES: [&str; 4] = [
    "169.254.169.254",
    "fd00:ec2::254",
    "168.63.129.16",
    "100.100.100.200",
];

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

/// The namespace that an organization asks for.
pub fn namespace_of(organization: &Organization) -> String {
    let stated = organization.spec.namespace.clone();
    stated.unwrap_or_else(|| names::default_namespace(name_of(organization)))
}

/// The organization's UID. Outside of a cluster there is none; the one made up
/// then is the same for the same name.
pub fn uid_of(organization: &Organization) -> String {
    let assigned = organization.metadata.uid.clone();
    assigned.unwrap_or_else(|| {
        let url = format!("{}/organization/{}", names::GROUP, name_of(organization));
        Uuid::new_v5(&Uuid::NAMESPACE_URL, url.as_bytes()).to_string()
    })
}

/// Whom the objects of an organization belong to, whether or not its spec is valid.
pub fn owner_of(organization: &Organization) -> Owner {
    Owner {
        organization: name_of(organization).to_owned(),
        uid: uid_of(organization),
        server: None,
    }
}

pub(crate) fn tenant_id_of(organization: &Organization) -> String {
    let stated = organization.spec.tenant_id.clone();
    stated.unwrap_or_else(|| uid_of(organization))
}

pub(crate) fn organization_value<'a>(
    organization: &'a Organization,
    issuer: &'a Issuer,
) -> &'a str {
    let stated = issuer.organization_value.as_deref();
    stated.unwrap_or_else(|| name_of(organization))
}

fn name_of(organization: &Organization) -> &str {
    organization.metadata.name.as_deref().unwrap_or_default()
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
        audit: document::AuditConfig {
            retention_days: spec.audit.retention.days(),
            // Never less than asked for: while buffering is not supported, the
            // condition `Supported` names the field.
            durability: document::AuditDurability::Synchronous,
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

fn check_egress(spec: &OrganizationSpec, problems: &mut Vec<Problem>) -> Vec<EgressConfig> {
    let mut egress = Vec::new();
    for (index, rule) in spec.network.egress.iter().enumerate() {
        match destination(rule) {
            Ok(destination) => egress.push(EgressConfig {
                destination,
                ports: rule.ports.clone(),
            }),
            Err(message) => {
                problems.push(Problem::invalid(
                    format!("spec.network.egress[{index}]"),
                    message,
                ));
            }
        }
    }
    egress
}

fn destination(rule: &EgressRule) -> Result<EgressDestination, String> {
    match (&rule.cidr, &rule.host) {
        (Some(cidr), None) => {
            let range: IpNet = cidr.parse().map_err(|_| {
                format!("`{cidr}` is not a range of addresses such as 203.0.113.0/24")
            })?;
            if range.network() != range.addr() {
                return Err(format!(
                    "`{cidr}` has bits set beyond its prefix: write {}",
                    range.trunc()
                ));
            }
            // A range of one metadata address has nothing left after the exclusion.
            match range.addr() {
                address
                    if is_single(&range)
                        && metadata_addresses().any(|metadata| metadata == address) =>
                {
                    Err(format!(
                        "{address} serves cloud metadata, which nothing of a tenant may reach: remove the rule"
                    ))
                }
                _ => Ok(EgressDestination::Cidr(range)),
            }
        }
        (None, Some(host)) => Ok(EgressDestination::Host(host.clone())),
        _ => Err("exactly one of cidr and host is required".to_owned()),
    }
}

fn is_single(range: &IpNet) -> bool {
    range.prefix_len() == range.max_prefix_len()
}

/// The metadata addresses, parsed. All entries parse; a test says so.
pub(crate) fn metadata_addresses() -> impl Iterator<Item = IpAddr> {
    METADATA_ADDRESSES
        .iter()
        .filter_map(|address| address.parse().ok())
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

fn check_identity(
    organization: &Organization,
    problems: &mut Vec<Problem>,
) -> document::IdentityConfig {
    let identity = &organization.spec.identity;
    let mut issuers = Vec::new();
    for (index, issuer) in identity.issuers.iter().enumerate() {
        let field = format!("spec.identity.issuers[{index}]");
        let keys = match (&issuer.jwks_uri, &issuer.jwks) {
            (Some(uri), None) => document::IssuerKeys::JwksUri(uri.clone()),
            (None, None) => document::IssuerKeys::Discovery,
            (None, Some(jwks)) => {
                if let Err(message) = check_jwks(jwks) {
                    problems.push(Problem::invalid(format!("{field}.jwks"), message));
                }
                document::IssuerKeys::Inline(jwks.clone())
            }
            (Some(_), Some(_)) => {
                problems.push(Problem::invalid(
                    field,
                    "jwksUri and jwks exclude each other",
                ));
                continue;
            }
        };
        issuers.push(document::IssuerConfig {
            issuer: issuer.issuer.clone(),
            keys,
            audiences: issuer.audiences.clone(),
            claims: document::ClaimPaths {
                user: issuer.claims.user.clone(),
                organization: issuer.claims.organization.clone(),
                roles: issuer.claims.roles.clone(),
            },
            organization_value: organization_value(organization, issuer).to_owned(),
        });
    }
    document::IdentityConfig {
        issuers,
        service_accounts: identity.service_accounts,
    }
}

/// Members of a JSON Web Key that only a private or symmetric key has (RFC 7518 section 6).
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// Checks the shape of a key set (RFC 7517 section 5) and that it holds public keys only.
fn check_jwks(text: &str) -> Result<(), String> {
    let jwks: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    let keys = jwks["keys"]
        .as_array()
        .filter(|keys| !keys.is_empty())
        .ok_or("needs a member `keys` with at least one key")?;
    let private = keys.iter().any(|key| {
        PRIVATE_MEMBERS
            .iter()
            .any(|member| key.get(member).is_some())
    });
    if private {
        return Err("holds a private or symmetric key: replace that key everywhere, and put public keys only here".to_owned());
    }
    Ok(())
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
