//! Fields of an `Organization` that this version does not act on. They only
//! add to what an organization has, so it is served without them, and the
//! condition `Supported` says so.

use agentapi_crds::OrganizationSpec;

/// Paths of the fields set that this version does not act on.
pub(crate) fn unsupported_fields(spec: &OrganizationSpec) -> Vec<&'static str> {
    let fields = [("spec.models", spec.models.is_some())];
    fields
        .into_iter()
        .filter(|(_, is_set)| *is_set)
        .map(|(field, _)| field)
        .collect()
}
