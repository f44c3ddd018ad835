//! Whose an object is.

use agentapi_crds::names;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::core::DynamicObject;

use super::WriteError;
use crate::object::{Object, Owner};

/// What makes a live object ours to change.
pub(crate) struct Claim<'a> {
    /// The object as it is planned.
    pub(crate) object: &'a Object,
    /// Hash of the plan, which names the organization's UID.
    pub(crate) hash: &'a str,
    /// UID of the object that was applied before under that name.
    pub(crate) known_uid: Option<String>,
    /// The organization whose objects are taken over.
    pub(crate) predecessor: Option<&'a Owner>,
}

impl Claim<'_> {
    /// Refuses an object that the operator did not make for this organization
    /// or its predecessor, and one that is on its way out.
    pub(crate) fn check(&self, live: &DynamicObject) -> Result<(), WriteError> {
        let title = self.object.title();
        if !self.is_ours(live) {
            let manager = live.labels().get(names::MANAGED_BY_LABEL);
            let is_managed = manager.is_some_and(|manager| manager == names::MANAGER);
            return Err(WriteError::not_ours(self.object.kind, title, is_managed));
        }
        if live.metadata.deletion_timestamp.is_some() {
            return Err(WriteError::Terminating { object: title });
        }
        Ok(())
    }

    fn is_ours(&self, live: &DynamicObject) -> bool {
        belongs_to(&self.object.owner, &live.metadata)
            || self.lost_its_labels(live)
            || self
                .predecessor
                .is_some_and(|predecessor| is_of_organization(predecessor, &live.metadata))
    }

    /// Whether the object is ours although its labels do not say so any more:
    /// it is the one that was applied before, or it still has the hash of this
    /// very plan, which admission lets nobody else write.
    fn lost_its_labels(&self, live: &DynamicObject) -> bool {
        let annotated = live.annotations().get(names::APPLIED_HASH_ANNOTATION);
        let is_known = self.known_uid.is_some() && self.known_uid == live.uid();
        is_known || annotated.is_some_and(|annotated| annotated == self.hash)
    }
}

/// Whether the operator made the object for that organization, be it for the
/// organization itself or for a server.
fn is_of_organization(organization: &Owner, live: &ObjectMeta) -> bool {
    let organization = Owner {
        server: None,
        ..organization.clone()
    };
    belongs_to(&organization, live)
}

/// Whether the labels say that the operator made the object for this owner.
pub(crate) fn belongs_to(owner: &Owner, live: &ObjectMeta) -> bool {
    let label = |key: &str| live.labels.as_ref().and_then(|labels| labels.get(key));
    owner
        .labels()
        .iter()
        .all(|(key, value)| label(key) == Some(value))
}

#[cfg(test)]
#[path = "ownership_tests.rs"]
mod tests;
