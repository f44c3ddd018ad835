//! Follows one watch: the store first, then whoever must look again.

use std::collections::HashMap;
use std::fmt::Debug;
use std::pin::pin;

use agentapi_crds::names;
use futures::StreamExt;
use kube::{Api, Resource, ResourceExt};
use kube_runtime::WatchStreamExt;
use kube_runtime::reflector::store::Writer;
use kube_runtime::watcher::{self, Event};
use serde::de::DeserializeOwned;

use crate::metrics::Metrics;

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

/// Changes of spec, deletion, annotations and finalizers, but not of status,
/// which the operator itself writes.
pub(crate) fn generation<K: Resource>(object: &K) -> String {
    let meta = object.meta();
    let paused = object.annotations().get(names::PAUSED_ANNOTATION);
    format!(
        "{:?} {:?} {:?} {paused:?}",
        meta.uid, meta.generation, meta.deletion_timestamp
    )
}

/// Any change.
pub(crate) fn version<K: Resource>(object: &K) -> String {
    object.resource_version().unwrap_or_default()
}

/// Follows a watch for good. `touch` is called for every object whose
/// fingerprint is new, and for every one that is gone, after the store knows.
pub(crate) async fn follow<K>(
    kind: &'static str,
    api: Api<K>,
    config: watcher::Config,
    mut writer: Writer<K>,
    fingerprint: impl Fn(&K) -> String,
    touch: impl Fn(&Touched),
    metrics: Metrics,
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Clone + Eq + std::hash::Hash,
{
    let mut known = Known::default();
    let mut events = pin!(watcher::watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                metrics.watch_failed(kind);
                tracing::warn!(kind, %error, "watch interrupted, trying again");
                continue;
            }
        };
        writer.apply_watcher_event(&event);
        match event {
            Event::Init => known.begin(),
            Event::InitApply(object) => known.list(Touched::of(&object), fingerprint(&object)),
            Event::InitDone => known.finish().iter().for_each(&touch),
            Event::Apply(object) => {
                known
                    .apply(Touched::of(&object), fingerprint(&object))
                    .iter()
                    .for_each(&touch);
            }
            Event::Delete(object) => touch(&known.remove(Touched::of(&object))),
        }
    }
}

/// Fingerprints of the present objects. While a list is read the store still
/// shows the old state, so changes found by listing are told at its end.
#[derive(Default)]
struct Known {
    present: HashMap<Key, (Touched, String)>,
    listed: HashMap<Key, (Touched, String)>,
}

/// Namespace and name.
type Key = (Option<String>, String);

fn key(touched: &Touched) -> Key {
    (touched.namespace.clone(), touched.name.clone())
}

impl Known {
    fn begin(&mut self) {
        self.listed.clear();
    }

    fn list(&mut self, touched: Touched, fingerprint: String) {
        self.listed.insert(key(&touched), (touched, fingerprint));
    }

    /// What changed, appeared or went between the last state and the list.
    fn finish(&mut self) -> Vec<Touched> {
        let listed = std::mem::take(&mut self.listed);
        let mut before = std::mem::replace(&mut self.present, listed);
        let mut changed = Vec::new();
        for (key, (touched, fingerprint)) in &self.present {
            let same = before
                .remove(key)
                .is_some_and(|(_, previous)| previous == *fingerprint);
            if !same {
                changed.push(touched.clone());
            }
        }
        changed.extend(before.into_values().map(|(touched, _)| touched));
        changed
    }

    fn apply(&mut self, touched: Touched, fingerprint: String) -> Option<Touched> {
        let entry = (touched.clone(), fingerprint.clone());
        let before = self.present.insert(key(&touched), entry);
        let same = before.is_some_and(|(_, previous)| previous == fingerprint);
        (!same).then_some(touched)
    }

    fn remove(&mut self, touched: Touched) -> Touched {
        self.present.remove(&key(&touched));
        touched
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
