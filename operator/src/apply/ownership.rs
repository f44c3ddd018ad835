//! Whose an object is.

use agentapi_crds::names;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use super::WriteError;
use crate::object::{Object, Owner};

/// Refuses an object that the operator did not make for this organization, and
/// one that is on its way out.
pub(crate) fn check(object: &Object, live: &ObjectMeta) -> Result<(), WriteError> {
    if !belongs_to(&object.owner, live) {
        return Err(WriteError::NotOurs {
            object: object.title(),
        });
    }
    if live.deletion_timestamp.is_some() {
        return Err(WriteError::Terminating {
            object: object.title(),
        });
    }
    Ok(())
}

/// Whether the labels say that the operator made the object for this owner.
pub(crate) fn belongs_to(owner: &Owner, live: &ObjectMeta) -> bool {
    let label = |key: &str| live.labels.as_ref().and_then(|labels| labels.get(key));
    owner
        .labels()
        .iter()
        .all(|(key, value)| label(key) == Some(value))
}

/// Whether anybody but the operator's applies owns fields of the pod template.
pub(crate) fn has_foreign_template(live: &ObjectMeta) -> bool {
    let entries = live.managed_fields.iter().flatten();
    entries.filter(|entry| !is_our_apply(entry)).any(|entry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.pointer("/f:spec/f:template").is_some())
    })
}

fn is_our_apply(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(names::MANAGER) && entry.operation.as_deref() == Some("Apply")
}
