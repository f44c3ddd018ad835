//! Kubernetes Events (`events.k8s.io/v1`) about the operator's own resources:
//! changes that a person may want to know of, told once, when they happen.
//! That a new resource becomes ready is no such change: its status says so.

use agentapi_crds::conditions::{find, reasons, types};
use agentapi_crds::names;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Client, Resource};
use kube_runtime::events::{Event, EventType, Recorder, Reporter};

/// Longest note that the API server takes, in bytes.
const MAX_NOTE_BYTES: usize = 1024;
/// Reason of the event that ends a stall or a pause.
const RECOVERED: &str = "Recovered";

/// Tells of changes.
#[derive(Clone)]
pub(crate) struct Announcer {
    client: Client,
    reporter: Reporter,
}

impl Announcer {
    /// An announcer of the replica `instance`.
    pub(crate) fn new(client: Client, instance: &str) -> Self {
        Self {
            client,
            reporter: Reporter {
                controller: names::MANAGER.to_owned(),
                instance: Some(instance.to_owned()),
            },
        }
    }

    /// Tells of a change where the resource is. A failure is logged only: the
    /// conditions say the same.
    pub(crate) async fn tell<K: Resource<DynamicType = ()>>(&self, resource: &K, change: &Change) {
        let event = Event {
            type_: change.event_type,
            reason: change.reason.clone(),
            note: Some(shortened(&change.message).to_owned()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        // A recorder of its own: one that remembers would repeat an earlier note.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        let regarding = resource.object_ref(&());
        match recorder.publish(&event, &regarding).await {
            Ok(()) => {}
            // The namespace is going, and takes nothing new.
            Err(kube::Error::Api(status)) if status.is_forbidden() => {
                tracing::debug!(kind = regarding.kind, name = regarding.name, %status, "event refused");
            }
            Err(error) => {
                tracing::warn!(kind = regarding.kind, name = regarding.name, %error, "event not written")
            }
        }
    }
}

/// A change that is worth an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    event_type: EventType,
    reason: String,
    message: String,
}

impl Change {
    fn normal(reason: &str, message: &str) -> Self {
        Self {
            event_type: EventType::Normal,
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }
}

/// What changed between two states of a resource's conditions.
pub(crate) fn change(before: &[Condition], after: &[Condition]) -> Option<Change> {
    let reason = |conditions, condition_type| {
        find(conditions, condition_type).map(|condition| condition.reason.as_str())
    };
    let ready = find(after, types::READY)?;
    if let Some(stalled) = find(after, types::STALLED) {
        let is_new = reason(before, types::STALLED) != Some(&stalled.reason);
        return is_new.then(|| Change {
            event_type: EventType::Warning,
            reason: stalled.reason.clone(),
            message: stalled.message.clone(),
        });
    }
    if let Some(blocked) = find(after, types::DELETION_BLOCKED) {
        let is_new = find(before, types::DELETION_BLOCKED).is_none();
        return is_new.then(|| Change::normal(reasons::DELETING, &blocked.message));
    }
    let reconciling = find(after, types::RECONCILING);
    if let Some(paused) = reconciling.filter(|condition| condition.reason == reasons::PAUSED) {
        let is_new = reason(before, types::RECONCILING) != Some(reasons::PAUSED);
        return is_new.then(|| Change::normal(reasons::PAUSED, &paused.message));
    }
    if is_off(&ready.reason) {
        let is_new = reason(before, types::READY) != Some(&ready.reason);
        return is_new.then(|| Change::normal(&ready.reason, &ready.message));
    }
    let was_held = find(before, types::STALLED).is_some()
        || reason(before, types::RECONCILING) == Some(reasons::PAUSED)
        || reason(before, types::READY).is_some_and(is_off);
    was_held.then(|| Change::normal(RECOVERED, &ready.message))
}

/// Whether the spec itself takes the resource out of service.
fn is_off(reason: &str) -> bool {
    [reasons::SUSPENDED, reasons::DISABLED].contains(&reason)
}

fn shortened(note: &str) -> &str {
    let end = (0..=MAX_NOTE_BYTES.min(note.len()))
        .rev()
        .find(|end| note.is_char_boundary(*end));
    &note[..end.unwrap_or(0)]
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
