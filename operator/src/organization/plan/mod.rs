//! The objects of an organization, in the order in which they are applied:
//! what closes the namespace comes before what lets anybody in.

mod access;
mod document;
mod limits;
mod namespace;
mod network;

use agentapi_crds::tenant_config::TenantConfig;

pub(super) use access::GATEWAY_SECRETS;
pub use access::WORKLOAD_SERVICE_ACCOUNT;
pub use document::tenant_config_object;
pub use network::DEFAULT_DENY;

use super::ValidatedOrganization;
use crate::object::Object;
use crate::settings::Settings;

/// The objects of a valid organization that is served by `document`; without a
/// document (it would not fit) the one that is live stays untouched.
pub fn plan(
    organization: &ValidatedOrganization,
    document: Option<&TenantConfig>,
    settings: &Settings,
) -> Vec<Object> {
    let mut objects = vec![namespace::namespace(organization)];
    objects.extend(network::policies(organization, settings));
    objects.extend(limits::limits(organization));
    objects.extend(access::access(organization, document, settings));
    objects.extend(document.map(|document| tenant_config_object(&organization.owner(), document)));
    objects
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
