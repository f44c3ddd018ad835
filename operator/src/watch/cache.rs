//! The present objects of one kind, found by name and by namespace without
//! looking at any other: what one organization costs must not grow with their number.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use kube::Resource;
use kube_runtime::reflector::store::Writer;
use kube_runtime::reflector::{ObjectRef, Store};

use super::follow::Touched;

/// The present objects of one kind; clones share them.
#[derive(Clone)]
pub struct Cache<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    store: Store<K>,
    dynamic: K::DynamicType,
    names: Names,
}

/// Names of the present objects by namespace.
type Names = Arc<RwLock<HashMap<String, BTreeSet<String>>>>;

impl<K> Cache<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    /// An empty cache, and what fills its store.
    pub(super) fn new(dynamic: K::DynamicType) -> (Self, Writer<K>) {
        let writer = Writer::new(dynamic.clone());
        let cache = Self {
            store: writer.as_reader(),
            dynamic,
            names: Names::default(),
        };
        (cache, writer)
    }

    /// The object of that name.
    pub fn get(&self, namespace: Option<&str>, name: &str) -> Option<Arc<K>> {
        let mut reference = ObjectRef::new_with(name, self.dynamic.clone());
        reference.namespace = namespace.map(str::to_owned);
        self.store.get(&reference)
    }

    /// All objects of a namespace, by name.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let names = names.get(namespace).into_iter().flatten();
        names
            .filter_map(|name| self.get(Some(namespace), name))
            .collect()
    }

    /// All objects, in no order.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// The store itself, for the controller.
    pub fn store(&self) -> Store<K> {
        self.store.clone()
    }

    /// Notes that an object appeared, changed or went, after the store knows.
    pub(super) fn note(&self, touched: &Touched) {
        let Some(namespace) = touched.namespace.as_deref() else {
            return;
        };
        let is_present = self.get(Some(namespace), &touched.name).is_some();
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if is_present {
            let present = names.entry(namespace.to_owned()).or_default();
            present.insert(touched.name.clone());
        } else if let Some(present) = names.get_mut(namespace) {
            present.remove(&touched.name);
            if present.is_empty() {
                names.remove(namespace);
            }
        }
    }
}
