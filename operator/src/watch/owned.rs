//! The present objects that carry the operator's label, without their content.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt;
use kube::api::PartialObjectMeta;
use kube::core::DynamicObject;
use kube_runtime::reflector::store::Writer;

use super::cache::Cache;
use crate::object::{Kind, Object, Owner};

/// Metadata of one object.
pub(crate) type Metadata = PartialObjectMeta<DynamicObject>;

/// Metadata of the present objects by kind; clones share it.
#[derive(Clone, Default)]
pub struct OwnedObjects(BTreeMap<Kind, Cache<Metadata>>);

impl OwnedObjects {
    pub(super) fn insert(&mut self, kind: Kind) -> (Cache<Metadata>, Writer<Metadata>) {
        let (cache, writer) = Cache::new(kind.api_resource());
        self.0.insert(kind, cache.clone());
        (cache, writer)
    }

    /// The object that a plan means, if it is there and carries the operator's label.
    pub fn get(&self, object: &Object) -> Option<Arc<Metadata>> {
        self.find(object.kind, object.namespace.as_deref(), &object.name)
    }

    /// The object of that kind and name, if it carries the operator's label.
    pub fn find(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<Arc<Metadata>> {
        self.0.get(&kind)?.get(namespace, name)
    }

    /// All objects of a kind in a namespace whose labels name that owner.
    pub fn of(&self, kind: Kind, owner: &Owner, namespace: &str) -> Vec<Arc<Metadata>> {
        let labels = owner.labels();
        let mut found = self
            .0
            .get(&kind)
            .map_or_else(Vec::new, |cache| cache.in_namespace(namespace));
        found.retain(|object| {
            labels
                .iter()
                .all(|(key, value)| object.labels().get(*key) == Some(value))
        });
        found
    }
}
