//! The present objects that carry the operator's label, without their content.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt;
use kube::api::PartialObjectMeta;
use kube::core::{ApiResource, DynamicObject};
use kube_runtime::reflector::store::{Writer, WriterDropped};
use kube_runtime::reflector::{ObjectRef, Store};

use crate::object::{Kind, Object, Owner};

/// Metadata of one object.
pub(super) type Metadata = PartialObjectMeta<DynamicObject>;

/// Metadata of the present objects by kind; clones share it.
#[derive(Clone, Default)]
pub struct OwnedObjects(BTreeMap<Kind, (ApiResource, Store<Metadata>)>);

impl OwnedObjects {
    pub(super) fn insert(&mut self, kind: Kind, resource: ApiResource) -> Writer<Metadata> {
        let writer = Writer::new(resource.clone());
        self.0.insert(kind, (resource, writer.as_reader()));
        writer
    }

    pub(super) async fn wait_until_ready(&self) -> Result<(), WriterDropped> {
        for (_, store) in self.0.values() {
            store.wait_until_ready().await?;
        }
        Ok(())
    }

    /// The object that a plan means, if it is there and carries the operator's label.
    pub fn get(&self, object: &Object) -> Option<Arc<Metadata>> {
        self.find(object.kind, object.namespace.as_deref(), &object.name)
    }

    /// The object of that kind and name, if it carries the operator's label.
    pub fn find(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<Arc<Metadata>> {
        let (resource, store) = self.0.get(&kind)?;
        let mut reference = ObjectRef::new_with(name, resource.clone());
        reference.namespace = namespace.map(str::to_owned);
        store.get(&reference)
    }

    /// All objects of a kind in a namespace whose labels name that owner.
    pub fn of(&self, kind: Kind, owner: &Owner, namespace: &str) -> Vec<Arc<Metadata>> {
        let labels = owner.labels();
        let belongs = |object: &Metadata| {
            object.metadata.namespace.as_deref() == Some(namespace)
                && labels
                    .iter()
                    .all(|(key, value)| object.labels().get(*key) == Some(value))
        };
        self.0
            .get(&kind)
            .map_or_else(Vec::new, |(_, store)| store.state_filter(belongs))
    }
}
