//! What an organization is known by, whether or not its spec is valid.

use agentapi_crds::organization::Issuer;
use agentapi_crds::{Organization, names};
use uuid::Uuid;

use crate::object::Owner;

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

pub(super) fn name_of(organization: &Organization) -> &str {
    organization.metadata.name.as_deref().unwrap_or_default()
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
