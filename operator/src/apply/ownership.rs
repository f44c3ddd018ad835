//! Whose an object is.

use agentapi_crds::names;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::ResourceExt;
use kube::core::DynamicObject;

use serde_json::{Map, Value};

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

/// Whether the operator's applies still own every field of a manifest. Whoever
/// changes one takes it from them, also inside of a list that is owned whole,
/// where values alone would not tell.
pub(super) fn owns_all(manifest: &Value, live: &ObjectMeta) -> bool {
    const METADATA: [&str; 3] = ["labels", "annotations", "ownerReferences"];
    let entries = live.managed_fields.iter().flatten();
    let ours = entries
        .filter(|entry| is_our_apply(entry))
        .find_map(|entry| entry.fields_v1.as_ref());
    let Some(fields) = ours.map(|fields| &fields.0) else {
        return false;
    };
    let metadata = manifest["metadata"].as_object().into_iter().flatten();
    let metadata = metadata.filter(|(name, _)| METADATA.contains(&name.as_str()));
    let content = manifest.as_object().into_iter().flatten();
    let content =
        content.filter(|(name, _)| !["apiVersion", "kind", "metadata"].contains(&name.as_str()));
    let of_metadata = fields.get("f:metadata").unwrap_or(&Value::Null);
    metadata
        .into_iter()
        .all(|(name, value)| owns(name, value, of_metadata))
        && content
            .into_iter()
            .all(|(name, value)| owns(name, value, fields))
}

/// Whether a field set has a field and what is in it. A leaf of the set is owned whole.
fn owns(name: &str, value: &Value, fields: &Value) -> bool {
    let Some(inner) = fields.get(format!("f:{name}")) else {
        return is_empty(value);
    };
    let is_leaf = inner.as_object().is_none_or(Map::is_empty);
    match value {
        Value::Object(members) if !is_leaf => {
            members.iter().all(|(name, value)| owns(name, value, inner))
        }
        _ => true,
    }
}

/// Whether the API server may leave the value out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Whether an entry of `managedFields` is of the operator's own applies.
pub(super) fn is_our_apply(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(names::MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

#[cfg(test)]
#[path = "ownership_tests.rs"]
mod tests;
