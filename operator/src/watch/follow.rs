//! Follows one watch: the store first, then whoever must look again.

use std::collections::HashMap;
use std::hash::Hash;
use std::pin::pin;

use agentapi_crds::names;
use futures::{Stream, StreamExt};
use kube::{Resource, ResourceExt};
use kube_runtime::WatchStreamExt;
use kube_runtime::reflector::store::Writer;
use kube_runtime::watcher::{self, Event};
use tokio::sync::oneshot;

use super::cache::Cache;
use crate::health::Readiness;
use crate::metrics::Metrics;

/// Copy of the object that `kubectl apply` keeps: as large as the object, and
/// of a Secret it has the values.
const LAST_APPLIED_ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Start of the platform's own annotations.
const OWN_ANNOTATIONS: &str = "agentapi.dev/";

/// What is known about an object that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Namespace; none for cluster-scoped kinds.
    pub(crate) namespace: Option<String>,
    /// Name.
    pub(crate) name: String,
    /// The organization in its labels.
    pub(crate) organization: Option<String>,
    /// The MCP server in its labels.
    pub(crate) server: Option<String>,
}

impl Touched {
    fn of<K: Resource>(object: &K) -> Self {
        let label = |key: &str| object.labels().get(key).cloned();
        Self {
            namespace: object.namespace(),
            name: object.name_any(),
            organization: label(names::ORGANIZATION_LABEL),
            server: label(names::SERVER_LABEL),
        }
    }
}

/// Changes of spec, deletion and the platform's annotations, but not of
/// status and finalizers, which the operator itself writes.
pub(crate) fn generation<K: Resource>(object: &K) -> String {
    let meta = object.meta();
    let annotations: Vec<_> = object
        .annotations()
        .iter()
        .filter(|(key, _)| key.starts_with(OWN_ANNOTATIONS))
        .collect();
    format!(
        "{:?} {:?} {:?} {annotations:?}",
        meta.uid, meta.generation, meta.deletion_timestamp
    )
}

/// Any change.
pub(crate) fn version<K: Resource>(object: &K) -> String {
    object.resource_version().unwrap_or_default()
}

/// Drops what nothing here reads and what takes most of the room.
fn strip<K: Resource>(object: &mut K) {
    let meta = object.meta_mut();
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED_ANNOTATION);
    }
}

/// Follows one watch for good.
pub(super) struct Follower<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    /// Name of the kind.
    pub(super) kind: &'static str,
    /// Where the present objects are found.
    pub(super) cache: Cache<K>,
    /// What fills the cache's store.
    pub(super) writer: Writer<K>,
    /// Told once everything that there is has been listed and noted.
    pub(super) listed: Option<oneshot::Sender<()>>,
    /// Counts interruptions.
    pub(super) metrics: Metrics,
    /// Told of interruptions that last.
    pub(super) readiness: Readiness,
}

impl<K> Follower<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    /// Calls `touch` for every object whose fingerprint is new, and for every
    /// one that is gone, after the cache knows. An object that changed hands
    /// is told twice: as it is now, and as it was.
    pub(super) async fn run(
        mut self,
        events: impl Stream<Item = watcher::Result<Event<K>>>,
        fingerprint: impl Fn(&K) -> String,
        touch: impl Fn(&Touched),
    ) {
        let mut known = Known::default();
        let mut events = pin!(events.modify(strip).default_backoff());
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    self.metrics.watch_failed(self.kind);
                    self.readiness.watch_failed(self.kind, error.to_string());
                    tracing::warn!(kind = self.kind, %error, "watch interrupted, trying again");
                    continue;
                }
            };
            self.readiness.watch_works(self.kind);
            self.writer.apply_watcher_event(&event);
            let is_listed = matches!(event, Event::InitDone);
            for touched in known.see(event, &fingerprint) {
                self.cache.note(&touched);
                touch(&touched);
            }
            if let Some(listed) = self.listed.take_if(|_| is_listed) {
                // Nobody waits any more only while the operator shuts down.
                let _ = listed.send(());
            }
        }
    }
}

/// Fingerprints of the present objects. While a list is read the store still
/// shows the old state, so changes found by listing are told at its end.
#[derive(Default)]
struct Known {
    present: HashMap<Key, Seen>,
    listed: HashMap<Key, Seen>,
}

/// Namespace and name.
type Key = (Option<String>, String);

/// What was seen of an object last.
#[derive(Clone, PartialEq, Eq)]
struct Seen {
    organization: Option<String>,
    server: Option<String>,
    fingerprint: String,
}

impl Seen {
    fn at(self, (namespace, name): Key) -> Touched {
        Touched {
            namespace,
            name,
            organization: self.organization,
            server: self.server,
        }
    }

    fn belongs_as(&self, other: &Self) -> bool {
        self.organization == other.organization && self.server == other.server
    }
}

impl Known {
    /// Whom an event is about.
    fn see<K: Resource>(
        &mut self,
        event: Event<K>,
        fingerprint: &impl Fn(&K) -> String,
    ) -> Vec<Touched> {
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                self.list(Touched::of(&object), fingerprint(&object));
                Vec::new()
            }
            Event::InitDone => self.finish(),
            Event::Apply(object) => self.apply(Touched::of(&object), fingerprint(&object)),
            Event::Delete(object) => self.remove(Touched::of(&object)),
        }
    }

    fn list(&mut self, touched: Touched, fingerprint: String) {
        let (key, seen) = split(touched, fingerprint);
        self.listed.insert(key, seen);
    }

    /// What changed, appeared or went between the last state and the list.
    fn finish(&mut self) -> Vec<Touched> {
        let listed = std::mem::take(&mut self.listed);
        let mut before = std::mem::replace(&mut self.present, listed);
        let mut changed = Vec::new();
        for (key, seen) in &self.present {
            changed.extend(changes(key, before.remove(key), seen));
        }
        changed.extend(before.into_iter().map(|(key, seen)| seen.at(key)));
        changed
    }

    fn apply(&mut self, touched: Touched, fingerprint: String) -> Vec<Touched> {
        let (key, seen) = split(touched, fingerprint);
        let before = self.present.insert(key.clone(), seen.clone());
        changes(&key, before, &seen)
    }

    /// Where labels were taken away the watch shows the object as gone, and
    /// with the labels that it had.
    fn remove(&mut self, touched: Touched) -> Vec<Touched> {
        let (key, seen) = split(touched, String::new());
        let before = self.present.remove(&key);
        let before = before.filter(|before| !before.belongs_as(&seen));
        let before = before.map(|before| before.at(key.clone()));
        before.into_iter().chain([seen.at(key)]).collect()
    }
}

/// Whom a change from `before` to `seen` is about: nobody where nothing changed.
fn changes(key: &Key, before: Option<Seen>, seen: &Seen) -> Vec<Touched> {
    if before.as_ref() == Some(seen) {
        return Vec::new();
    }
    let before = before.filter(|before| !before.belongs_as(seen));
    let before = before.map(|before| before.at(key.clone()));
    before
        .into_iter()
        .chain([seen.clone().at(key.clone())])
        .collect()
}

fn split(touched: Touched, fingerprint: String) -> (Key, Seen) {
    let Touched {
        namespace,
        name,
        organization,
        server,
    } = touched;
    let seen = Seen {
        organization,
        server,
        fingerprint,
    };
    ((namespace, name), seen)
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
