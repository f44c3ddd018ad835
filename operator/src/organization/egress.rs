//! Declared destinations outside of the cluster.

use std::net::IpAddr;

use agentapi_crds::OrganizationSpec;
use agentapi_crds::organization::EgressRule;
use agentapi_crds::tenant_config::{EgressConfig, EgressDestination};
use ipnet::IpNet;

use crate::problem::Problem;

/// Addresses of cloud metadata services, which nothing of a tenant may reach.
pub(crate) const METADATA_ADDRESSES: [&str; 4] = [
    "169.254.169.254",
    "fd00:ec2::254",
    "168.63.129.16",
    "100.100.100.200",
];

pub(super) fn check_egress(
    spec: &OrganizationSpec,
    problems: &mut Vec<Problem>,
) -> Vec<EgressConfig> {
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
