//! Who waits to be looked at: each resource once, however often it was asked for.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use kube_runtime::reflector::{Lookup, ObjectRef};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::metrics::Metrics;

/// References to what must be looked at; clones share them.
pub(crate) struct Queue<K: Lookup<DynamicType = ()>> {
    kind: &'static str,
    sender: UnboundedSender<ObjectRef<K>>,
    waiting: Arc<Mutex<HashSet<ObjectRef<K>>>>,
    metrics: Metrics,
}

impl<K: Lookup<DynamicType = ()>> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            sender: self.sender.clone(),
            waiting: self.waiting.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

impl<K: Lookup<DynamicType = ()>> Queue<K> {
    /// An empty queue, and where its references come out.
    pub(super) fn new(
        kind: &'static str,
        metrics: Metrics,
    ) -> (Self, UnboundedReceiver<ObjectRef<K>>) {
        let (sender, receiver) = unbounded_channel();
        let queue = Self {
            kind,
            sender,
            waiting: Arc::default(),
            metrics,
        };
        (queue, receiver)
    }

    /// Asks for a look at a resource. One that waits already will see this change too.
    pub(crate) fn add(&self, reference: ObjectRef<K>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.insert(reference.clone()) {
            self.metrics.queued(self.kind, waiting.len());
            // Nobody listens any more only while the operator shuts down.
            let _ = self.sender.send(reference);
        }
    }

    /// Says that a resource is looked at from now on: what changes later must be asked for anew.
    pub(crate) fn take(&self, reference: &ObjectRef<K>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.remove(reference);
        self.metrics.queued(self.kind, waiting.len());
    }
}

#[cfg(test)]
mod tests {
    use agentapi_crds::Organization;
    use kube_runtime::reflector::ObjectRef;

    use super::Queue;
    use crate::metrics::Metrics;

    fn acme() -> ObjectRef<Organization> {
        ObjectRef::new("acme")
    }

    #[test]
    fn a_resource_that_waits_is_not_queued_again() {
        let (queue, receiver) = Queue::new("Organization", Metrics::default());
        queue.add(acme());
        queue.add(acme());
        assert_eq!(receiver.len(), 1);
    }

    #[test]
    fn a_change_after_the_look_began_is_queued() {
        let (queue, receiver) = Queue::new("Organization", Metrics::default());
        queue.add(acme());
        queue.take(&acme());
        queue.add(acme());
        assert_eq!(receiver.len(), 2);
    }
}
