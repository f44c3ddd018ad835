//! Whether an organization may take over a namespace that an earlier one left
//! when it was deleted (`deletionPolicy: Retain`).

use agentapi_crds::{Organization, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::names::{namespace_of, tenant_id_of, uid_of};
use crate::object::Owner;

/// The deleted organization whose namespace this one takes over: the platform
/// engineer says so by an annotation that names the namespace, and both have
/// the same `tenantId`. `is_alive` tells whether an organization has that UID.
pub(super) fn predecessor(
    organization: &Organization,
    namespace: &ObjectMeta,
    is_alive: impl FnOnce(&str) -> bool,
) -> Option<Owner> {
    let label = |key: &str| namespace.labels.as_ref().and_then(|labels| labels.get(key));
    let earlier = Owner {
        organization: label(names::ORGANIZATION_LABEL)?.clone(),
        uid: label(names::ORGANIZATION_UID_LABEL)?.clone(),
        server: None,
    };
    let is_managed = label(names::MANAGED_BY_LABEL)? == names::MANAGER;
    let is_another = earlier.uid != uid_of(organization);
    let is_same_tenant = *label(names::TENANT_ID_LABEL)? == tenant_id_of(organization);
    let allowed = organization
        .annotations()
        .get(names::TAKE_OVER_ANNOTATION)?;
    let is_allowed = *allowed == namespace_of(organization);
    let is_left = is_managed && is_another && is_same_tenant && is_allowed;
    (is_left && !is_alive(&earlier.uid)).then_some(earlier)
}

#[cfg(test)]
mod tests {
    use agentapi_crds::{Organization, names};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use kube::ResourceExt;

    use super::predecessor;
    use crate::fixtures::{UID, organization};

    const TENANT: &str = "11111111-2222-3333-4444-555555555555";
    const EARLIER: &str = "uid-of-the-earlier-one";

    fn left_by(uid: &str, tenant: &str) -> ObjectMeta {
        let labels = [
            (names::MANAGED_BY_LABEL, names::MANAGER),
            (names::ORGANIZATION_LABEL, "acme"),
            (names::ORGANIZATION_UID_LABEL, uid),
            (names::TENANT_ID_LABEL, tenant),
        ];
        ObjectMeta {
            labels: Some(
                labels
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
            ),
            ..ObjectMeta::default()
        }
    }

    fn recreated(allowed: Option<&str>) -> Organization {
        let mut organization = organization(&format!("tenantId: {TENANT}"));
        if let Some(allowed) = allowed {
            let annotations = organization.annotations_mut();
            annotations.insert(names::TAKE_OVER_ANNOTATION.to_owned(), allowed.to_owned());
        }
        organization
    }

    #[test]
    fn the_same_tenant_takes_over_what_the_annotation_names() {
        let found = predecessor(
            &recreated(Some("org-acme")),
            &left_by(EARLIER, TENANT),
            |_| false,
        );
        assert_eq!(found.map(|owner| owner.uid).as_deref(), Some(EARLIER));
    }

    #[test]
    fn without_the_annotation_nothing_is_taken_over() {
        let found = predecessor(&recreated(None), &left_by(EARLIER, TENANT), |_| false);
        assert_eq!(found, None);
    }

    #[test]
    fn an_annotation_that_names_another_namespace_allows_nothing() {
        let found = predecessor(&recreated(Some("org-b")), &left_by(EARLIER, TENANT), |_| {
            false
        });
        assert_eq!(found, None);
    }

    #[test]
    fn another_tenant_takes_nothing_over() {
        let other = TENANT.replace('1', "9");
        let found = predecessor(
            &recreated(Some("org-acme")),
            &left_by(EARLIER, &other),
            |_| false,
        );
        assert_eq!(found, None);
    }

    #[test]
    fn nothing_is_taken_from_an_organization_that_is_there() {
        let found = predecessor(
            &recreated(Some("org-acme")),
            &left_by(EARLIER, TENANT),
            |uid| uid == EARLIER,
        );
        assert_eq!(found, None);
    }

    #[test]
    fn the_organizations_own_namespace_needs_no_takeover() {
        let found = predecessor(&recreated(Some("org-acme")), &left_by(UID, TENANT), |_| {
            false
        });
        assert_eq!(found, None);
    }
}
