//! The organization's namespace.

use agentapi_crds::names;
use serde_json::json;

use crate::object::{Kind, Object};
use crate::organization::ValidatedOrganization;

/// Version of the Pod Security Standards: the oldest Kubernetes that is
/// supported, so that an upgrade of the cluster changes no tenant's rules.
const POD_SECURITY_VERSION: &str = "v1.34";
/// Level of the Pod Security Standards.
const POD_SECURITY_LEVEL: &str = "restricted";

/// The namespace, without an ownerReference: `Retain` means that it stays.
pub(super) fn namespace(organization: &ValidatedOrganization) -> Object {
    let owner = organization.owner();
    let mut namespace = owner
        .object(Kind::Namespace, None, &organization.namespace, json!({}))
        .with_label(names::TENANT_ID_LABEL, &organization.tenant_id.to_string());
    if !organization.registries.is_empty() {
        let registries = organization.registries.join(",");
        namespace = namespace.with_annotation(names::REGISTRIES_ANNOTATION, &registries);
    }
    ["enforce", "audit", "warn"]
        .into_iter()
        .fold(namespace, |namespace, action| {
            let label = format!("pod-security.kubernetes.io/{action}");
            namespace
                .with_label(&label, POD_SECURITY_LEVEL)
                .with_label(&format!("{label}-version"), POD_SECURITY_VERSION)
        })
}
