//! Every object of every discovered type, in a form in which two runs can be
//! compared: without uid, resourceVersion, managedFields and times, and with a
//! name in place of everything that is random.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::discovery::{Scope, verbs};
use serde_json::{Map, Value, json};

use super::{BareCluster, TENANTS};

/// Lists under way at one time.
const CONCURRENCY: usize = 8;
/// Keys that hold times, versions and identities.
const VOLATILE: [&str; 14] = [
    "uid",
    "resourceVersion",
    "managedFields",
    "creationTimestamp",
    "deletionTimestamp",
    "lastTransitionTime",
    "lastUpdateTime",
    "lastProbeTime",
    "startTime",
    "revision",
    "clusterIP",
    "clusterIPs",
    "endpoints.kubernetes.io/last-change-trigger-time",
    "agentapi.dev/applied-hash",
];
/// Keys that count how often something changed, and what follows from that.
const HISTORY: [&str; 4] = [
    "generation",
    "observedGeneration",
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
];

/// Objects by `Kind namespace/name`, normalised.
pub type Snapshot = BTreeMap<String, Value>;

impl BareCluster {
    /// Everything that has to do with an organization: all objects of its
    /// namespace, all documents, and all cluster-scoped objects.
    pub async fn snapshot(&self, organization: &str) -> Result<Snapshot> {
        Ok(normalise(self.objects(organization).await?))
    }

    /// The same objects as they are.
    pub async fn objects(&self, organization: &str) -> Result<Vec<Value>> {
        let everything = ListParams::default;
        let namespace = format!("org-{organization}");
        let mut lists = Vec::new();
        for (resource, scope) in self.types() {
            match scope {
                Scope::Cluster => lists.push((resource, None, everything())),
                Scope::Namespaced => {
                    lists.push((resource.clone(), Some(namespace.clone()), everything()));
                    lists.push((resource, Some(TENANTS.to_owned()), everything()));
                }
            }
        }
        self.lists(lists).await
    }

    /// The objects of one organization among many.
    async fn own_objects(&self, organization: &str) -> Result<Vec<Value>> {
        let named = |name: &str| ListParams::default().fields(&format!("metadata.name={name}"));
        let labelled =
            ListParams::default().labels(&format!("agentapi.dev/organization={organization}"));
        let namespace = format!("org-{organization}");
        let mut lists = Vec::new();
        for (resource, scope) in self.types() {
            match (scope, resource.kind.as_str()) {
                (Scope::Cluster, "Organization") => {
                    lists.push((resource, None, named(organization)));
                }
                (Scope::Cluster, _) => lists.push((resource, None, labelled.clone())),
                (Scope::Namespaced, _) => {
                    let tenants = Some(TENANTS.to_owned());
                    lists.push((resource.clone(), tenants, labelled.clone()));
                    lists.push((resource, Some(namespace.clone()), ListParams::default()));
                }
            }
        }
        self.lists(lists).await
    }

    /// All types that can be listed. Events tell what happened, not what is.
    fn types(&self) -> Vec<(ApiResource, Scope)> {
        let groups = self.discovery.groups();
        groups
            .flat_map(|group| group.recommended_resources())
            .filter(|(resource, capabilities)| {
                capabilities.supports_operation(verbs::LIST) && resource.kind != "Event"
            })
            .map(|(resource, capabilities)| (resource, capabilities.scope))
            .collect()
    }

    async fn lists(
        &self,
        lists: Vec<(ApiResource, Option<String>, ListParams)>,
    ) -> Result<Vec<Value>> {
        let objects: Vec<Vec<Value>> = futures::stream::iter(lists)
            .map(async |(resource, namespace, parameters)| {
                self.list(&resource, namespace.as_deref(), &parameters)
                    .await
            })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        Ok(objects.into_iter().flatten().collect())
    }

    /// What the operator answers for in an organization, compared by meaning
    /// with another organization that has another name: without the objects
    /// and statuses of the cluster's own controllers, and without history.
    pub async fn meaning(&self, organization: &str) -> Result<Snapshot> {
        let snapshot = normalise(self.own_objects(organization).await?);
        let ours = snapshot.into_iter().filter(|(_, object)| {
            let owners = object.pointer("/metadata/ownerReferences");
            let owners = owners.and_then(Value::as_array);
            let derived = owners
                .into_iter()
                .flatten()
                .any(|owner| owner["controller"] == true && owner["kind"] != "McpServer");
            !derived
        });
        Ok(ours
            .map(|(title, object)| {
                let text = object.to_string().replace(organization, "<organization>");
                let mut object = serde_json::from_str(&text).unwrap_or(object);
                strip(&mut object, &HISTORY);
                let is_own = object["apiVersion"] == "agentapi.dev/v1alpha1";
                if let (false, Some(object)) = (is_own, object.as_object_mut()) {
                    object.remove("status");
                }
                (title.replace(organization, "<organization>"), object)
            })
            .collect())
    }

    async fn list(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        parameters: &ListParams,
    ) -> Result<Vec<Value>> {
        let api: Api<DynamicObject> = self.api(resource, namespace);
        let list = match api.list(parameters).await {
            Ok(list) => list,
            // Types that cannot be listed at this moment, such as those of absent aggregated servers.
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 405 => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.into()),
        };
        list.items
            .into_iter()
            .map(|object| {
                let mut value = serde_json::to_value(object)?;
                value["apiVersion"] = json!(resource.api_version);
                value["kind"] = json!(resource.kind);
                Ok(value)
            })
            .collect()
    }
}

/// All objects with names in place of what is random.
fn normalise(mut objects: Vec<Value>) -> Snapshot {
    let names = random_names(&objects);
    for object in &mut objects {
        let metadata = &object["metadata"];
        if let Some(generated) = metadata["generateName"].as_str() {
            object["metadata"]["name"] = json!(format!("{generated}*"));
        } else if object["kind"] == "IPAddress" {
            let parent = &object["spec"]["parentRef"];
            object["metadata"]["name"] =
                json!(format!("of {}/{}", parent["namespace"], parent["name"]));
        }
        open_document(object);
        strip(object, &VOLATILE);
    }
    let mut texts: Vec<String> = objects.iter().map(Value::to_string).collect();
    for text in &mut texts {
        for (random, name) in &names {
            if text.contains(random.as_str()) {
                *text = text.replace(random.as_str(), name);
            }
        }
    }
    texts.sort();
    let mut snapshot = Snapshot::new();
    for text in texts {
        let object: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let title = title(&object);
        let mut key = title.clone();
        let mut further = 1;
        while snapshot.contains_key(&key) {
            further += 1;
            key = format!("{title} #{further}");
        }
        snapshot.insert(key, object);
    }
    snapshot
}

fn title(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (kind, name) = (
        text("/kind").unwrap_or_default(),
        text("/metadata/name").unwrap_or_default(),
    );
    match text("/metadata/namespace") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// What is random in these objects, and what to call it, the longest first,
/// since one may hold another: UIDs, generated names, and the hashes in the
/// names of ReplicaSets, which follow from labels that hold a UID.
fn random_names(objects: &[Value]) -> Vec<(String, String)> {
    let mut names = Vec::new();
    for object in objects {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        if let Some(uid) = text("/metadata/uid") {
            names.push((uid.to_owned(), format!("<uid of {}>", title(object))));
        }
        if let (Some(start), Some(name)) = (text("/metadata/generateName"), text("/metadata/name"))
        {
            names.push((name.to_owned(), format!("{start}*")));
        }
        // One name for all: a status may tell of any of the pods that wait.
        if let ("ReplicaSet", Some(hash)) = (
            text("/kind").unwrap_or_default(),
            text("/metadata/labels/pod-template-hash"),
        ) {
            names.push((hash.to_owned(), "<hash>".to_owned()));
        }
    }
    names.sort_by_key(|(random, _)| std::cmp::Reverse(random.len()));
    names
}

/// A TenantConfig as JSON instead of as a text, so that its parts can be compared.
fn open_document(object: &mut Value) {
    let text = object.pointer("/data/tenant.json").and_then(Value::as_str);
    let document = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let Some(document) = document {
        object["data"]["tenant.json"] = document;
    }
}

fn strip(value: &mut Value, keys: &[&str]) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !keys.contains(&key.as_str()));
            map.values_mut().for_each(|value| strip(value, keys));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| strip(value, keys)),
        _ => {}
    }
}

/// Where two snapshots differ, one line each; empty where they are equal.
pub fn difference(expected: &Snapshot, found: &Snapshot) -> Vec<String> {
    let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let mut lines = Vec::new();
    for key in keys {
        match (expected.get(key), found.get(key)) {
            (Some(_), None) => lines.push(format!("{key} is missing")),
            (None, Some(_)) => lines.push(format!("{key} is too much")),
            (Some(expected), Some(found)) => compare(key, expected, found, &mut lines),
            (None, None) => {}
        }
    }
    lines
}

fn compare(place: &str, expected: &Value, found: &Value, lines: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            compare_maps(place, expected, found, lines);
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{place}[{index}]"), expected, found, lines);
            }
        }
        _ if expected == found => {}
        _ => lines.push(format!("{place}: expected {expected}, found {found}")),
    }
}

fn compare_maps(
    place: &str,
    expected: &Map<String, Value>,
    found: &Map<String, Value>,
    lines: &mut Vec<String>,
) {
    let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    for key in keys {
        let null = Value::Null;
        let (expected, found) = (
            expected.get(key).unwrap_or(&null),
            found.get(key).unwrap_or(&null),
        );
        compare(&format!("{place}.{key}"), expected, found, lines);
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
