//! Where a connection may go: what the organization declared, or one typed target.

use std::net::IpAddr;
use std::sync::Arc;

use agentapi_crds::tenant_config::{EgressConfig, EgressDestination};
use ipnet::IpNet;

use super::address::{Special, canonical, special};

/// Destinations that one client may dial.
#[derive(Clone, Debug)]
pub enum EgressPolicy {
    /// What the organization declared, less what the platform denies.
    Declared(Arc<[EgressConfig]>),
    /// Exactly one Service of the organization's own namespace.
    InCluster {
        /// DNS name of the Service.
        host: String,
        /// Port of the Service.
        port: u16,
    },
}

/// Why a destination is refused. Nothing was sent to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The platform denies the address to every tenant.
    #[error("the platform does not dial {what:?} addresses for organizations")]
    Denied {
        /// What is special about the address.
        what: Special,
    },
    /// The organization did not declare the destination.
    #[error(
        "the organization declares no egress to {host}:{port}: add it to the Organization's spec.network.egress"
    )]
    Undeclared {
        /// Host as it was asked for.
        host: String,
        /// Port as it was asked for.
        port: u16,
    },
}

impl EgressPolicy {
    /// What an organization declared.
    pub fn declared(egress: &[EgressConfig]) -> Self {
        Self::Declared(egress.into())
    }

    /// One Service of the organization's own namespace.
    pub fn in_cluster(namespace: &str, service: &str, port: u16) -> Self {
        Self::InCluster {
            host: format!("{service}.{namespace}.svc"),
            port,
        }
    }

    /// Whether `address`, which `host` resolved to, may be dialled. `allowed`
    /// are ranges that the platform's own configuration opens to declarations.
    ///
    /// # Errors
    /// The reason to refuse; the platform's denials come first.
    pub fn check(
        &self,
        host: &str,
        port: u16,
        address: IpAddr,
        allowed: &[IpNet],
    ) -> Result<(), Refusal> {
        let address = canonical(address);
        let what =
            special(address).filter(|_| !allowed.iter().any(|range| range.contains(&address)));
        match self {
            Self::Declared(rules) => {
                if let Some(what) = what {
                    return Err(Refusal::Denied { what });
                }
                if rules.iter().any(|rule| declares(rule, host, port, address)) {
                    return Ok(());
                }
            }
            Self::InCluster {
                host: service,
                port: service_port,
            } => {
                // Service addresses are private by nature; nothing else about them may be special.
                let private = |what: &Special| {
                    matches!(
                        what,
                        Special::Private | Special::UniqueLocal | Special::Shared
                    )
                };
                if let Some(what) = what.filter(|what| !private(what)) {
                    return Err(Refusal::Denied { what });
                }
                if host == service && port == *service_port {
                    return Ok(());
                }
            }
        }
        Err(Refusal::Undeclared {
            host: host.to_owned(),
            port,
        })
    }
}

fn declares(rule: &EgressConfig, host: &str, port: u16, address: IpAddr) -> bool {
    let port_fits = rule.ports.is_empty() || rule.ports.contains(&port);
    port_fits
        && match &rule.destination {
            EgressDestination::Cidr(range) => range.contains(&address),
            EgressDestination::Host(declared) => host_fits(declared, host),
        }
}

/// `example.com` fits itself, `*.example.com` fits every name below it (RFC 6125, 6.4.3, but of any depth).
fn host_fits(declared: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    match declared.strip_prefix("*.") {
        Some(suffix) => host.len().checked_sub(suffix.len() + 1).is_some_and(|dot| {
            dot > 0 && host.as_bytes()[dot] == b'.' && host[dot + 1..].eq_ignore_ascii_case(suffix)
        }),
        None => host.eq_ignore_ascii_case(declared),
    }
}

#[cfg(test)]
#[path = "egress_tests.rs"]
mod tests;
