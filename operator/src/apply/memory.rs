//! What the writer remembers of objects, so that those that are as they should
//! be cost no request.

use std::sync::PoisonError;

use kube::ResourceExt;
use kube::core::DynamicObject;

use super::{WriteError, Writer};
use crate::object::{Object, Owner};

/// What is known of an object.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Memory {
    organization_uid: String,
    fate: Fate,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// A live object at that version needs no second look.
    Applied {
        hash: String,
        uid: Option<String>,
        resource_version: String,
    },
    /// Somebody else's object has the name: creating is not tried again before it is gone.
    Refused,
}

impl Writer {
    /// Whether the watched object is at the version that was applied with this hash.
    pub(super) fn is_as_applied(&self, object: &Object, hash: &str) -> bool {
        let Some(Fate::Applied {
            hash: applied,
            resource_version,
            ..
        }) = self.fate(object)
        else {
            return false;
        };
        let watched = self.owned.get(object);
        applied == hash
            && watched.is_some_and(|watched| {
                watched.resource_version().as_deref() == Some(&resource_version)
            })
    }

    pub(super) fn was_refused(&self, object: &Object) -> bool {
        self.fate(object) == Some(Fate::Refused)
    }

    /// UID of the object that was applied last under that name for that organization.
    pub(super) fn known_uid(&self, object: &Object) -> Option<String> {
        match self.fate(object) {
            Some(Fate::Applied { uid, .. }) => uid,
            Some(Fate::Refused) | None => None,
        }
    }

    fn fate(&self, object: &Object) -> Option<Fate> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let known = memory.get(&object.title());
        let known = known.filter(|known| known.organization_uid == object.owner.uid);
        known.map(|known| known.fate.clone())
    }

    pub(super) fn remember(&self, object: &Object, hash: String, live: &DynamicObject) {
        let fate = Fate::Applied {
            hash,
            uid: live.uid(),
            resource_version: live.resource_version().unwrap_or_default(),
        };
        self.remember_fate(object, fate);
    }

    pub(super) fn remember_refusal(&self, object: &Object, error: &WriteError) {
        if matches!(error, WriteError::NotOurs { .. }) {
            self.remember_fate(object, Fate::Refused);
        }
    }

    fn remember_fate(&self, object: &Object, fate: Fate) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let organization_uid = object.owner.uid.clone();
        memory.insert(
            object.title(),
            Memory {
                organization_uid,
                fate,
            },
        );
    }

    /// Forgets an organization that is gone.
    pub(crate) fn forget(&self, organization: &Owner) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.retain(|_, object| object.organization_uid != organization.uid);
    }

    pub(super) fn forget_object(&self, title: &str) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.remove(title);
    }
}
