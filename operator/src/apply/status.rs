//! Writes to the operator's own resources: finalizers and status.

use std::fmt::Debug;
use std::sync::PoisonError;

use agentapi_crds::names;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{WriteError, Writer, answer};
use crate::events;

/// One of the three kinds.
pub trait Own:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + Sync + 'static
{
    /// Its status.
    type Status: Serialize + Clone + Default + PartialEq;

    /// The client of the resource's collection.
    fn api(&self, client: kube::Client) -> Api<Self>;

    /// The status as it was read.
    fn status(&self) -> Option<&Self::Status>;

    /// The conditions of a status.
    fn conditions(status: &mut Self::Status) -> &mut Vec<Condition>;

    /// `Kind namespace/name`, for people.
    fn title(&self) -> String {
        title_of::<Self>(self.meta().namespace.as_deref(), &self.name_any())
    }

    /// Whether the operator's finalizer is there.
    fn has_finalizer(&self) -> bool {
        self.finalizers()
            .iter()
            .any(|name| name == names::FINALIZER)
    }

    /// Whether the resource is being deleted.
    fn is_deleting(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }
}

/// A status that was written: the watch may still show what was before.
pub(super) struct WrittenStatus {
    /// Version of the resource that the API server answered with.
    version: Option<String>,
    /// SHA-256 of the status, its times left out: what follows from a resource
    /// that does not show its status yet has later ones.
    digest: Vec<u8>,
}

/// `Kind namespace/name` of a resource of the operator's own, for people.
pub(crate) fn title_of<K: Own>(namespace: Option<&str>, name: &str) -> String {
    let kind = K::kind(&());
    match namespace {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

impl Writer {
    /// Adds the finalizer, before anything is made that must be cleaned up.
    pub async fn ensure_finalizer<K: Own>(&self, resource: &K) -> Result<(), WriteError> {
        if resource.has_finalizer() {
            return Ok(());
        }
        let mut finalizers = resource.finalizers().to_vec();
        finalizers.push(names::FINALIZER.to_owned());
        self.set_finalizers(resource, finalizers).await
    }

    /// Removes the finalizer, after everything was cleaned up.
    pub async fn remove_finalizer<K: Own>(&self, resource: &K) -> Result<(), WriteError> {
        if !resource.has_finalizer() {
            return Ok(());
        }
        let mut finalizers = resource.finalizers().to_vec();
        finalizers.retain(|name| name != names::FINALIZER);
        match self.set_finalizers(resource, finalizers).await {
            // Gone already: the cache was behind.
            Err(WriteError::Write { source, .. }) if matches!(source.as_ref(), kube::Error::Api(status) if status.is_not_found()) => {
                Ok(())
            }
            result => result,
        }
    }

    async fn set_finalizers<K: Own>(
        &self,
        resource: &K,
        finalizers: Vec<String>,
    ) -> Result<(), WriteError> {
        // With the version, so that the finalizer of somebody else is never lost.
        let patch = json!({"metadata": {
            "finalizers": finalizers,
            "resourceVersion": resource.resource_version(),
        }});
        let parameters = PatchParams {
            field_manager: Some(names::MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let (api, name) = (resource.api(self.client.clone()), resource.name_any());
        self.leadership.check()?;
        answer(api.patch_metadata(&name, &parameters, &Patch::Merge(&patch)))
            .await
            .map_err(|source| WriteError::write(resource.title(), source))?;
        self.metrics.written("finalizers", "patch");
        Ok(())
    }

    /// Writes a status, only if it differs from the one that was read.
    pub async fn write_status<K: Own>(
        &self,
        resource: &K,
        status: &K::Status,
    ) -> Result<(), WriteError> {
        if resource.status() == Some(status) {
            return Ok(());
        }
        let mut after = status.clone();
        let mut before = resource.status().cloned().unwrap_or_default();
        let change = events::change(K::conditions(&mut before), K::conditions(&mut after));
        let encode = |source| WriteError::Encode {
            object: resource.title(),
            source,
        };
        let status: Value = serde_json::to_value(status).map_err(encode)?;
        let digest = digest(&status);
        if self.was_written(resource, &digest) {
            return Ok(());
        }
        let mut manifest = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            // With the UID, so that the status of a deleted resource never lands on its successor.
            "metadata": {"name": resource.name_any(), "uid": resource.uid()},
            "status": status,
        });
        if let Some(namespace) = resource.namespace() {
            manifest["metadata"]["namespace"] = json!(namespace);
        }
        let parameters = PatchParams::apply(names::STATUS_MANAGER).force();
        let (api, name) = (resource.api(self.client.clone()), resource.name_any());
        self.leadership.check()?;
        let patch = Patch::Apply(&manifest);
        match answer(api.patch_status(&name, &parameters, &patch)).await {
            Ok(applied) => {
                self.metrics.written("status", "apply");
                let version = applied.resource_version();
                self.remember_status(resource.title(), WrittenStatus { version, digest });
                if let Some(change) = change {
                    self.announcer.tell(resource, &change).await;
                    self.metrics.written("Event", "create");
                }
                Ok(())
            }
            // Deleted meanwhile: nobody is left to read it.
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(source) => Err(WriteError::write(resource.title(), source)),
        }
    }

    /// Forgets the status of a resource that is gone.
    pub(crate) fn forget_status(&self, title: &str) {
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.remove(title);
    }

    /// Whether that status was written and `resource` is from before.
    fn was_written<K: Own>(&self, resource: &K, digest: &[u8]) -> bool {
        let statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let written = statuses.get(&resource.title());
        let written = written.filter(|written| written.digest == digest);
        written.is_some_and(|written| {
            is_earlier_version(
                resource.resource_version().as_deref(),
                written.version.as_deref(),
            )
        })
    }

    fn remember_status(&self, title: String, status: WrittenStatus) {
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.insert(title, status);
    }
}

/// SHA-256 of a status without the times of its conditions.
fn digest(status: &Value) -> Vec<u8> {
    let mut status = status.clone();
    let conditions = status.get_mut("conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        if let Some(condition) = condition.as_object_mut() {
            condition.remove("lastTransitionTime");
        }
    }
    Sha256::digest(status.to_string()).to_vec()
}

/// Whether a version of a resource came before another. Kubernetes promises
/// that versions of one type are numbers that grow (since 1.35, and so they
/// were before); those that are none are in no order.
fn is_earlier_version(one: Option<&str>, other: Option<&str>) -> bool {
    let number = |version: Option<&str>| version?.parse::<u128>().ok();
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one < other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{digest, is_earlier_version};

    fn ready_since(status: &str, time: &str) -> Value {
        json!({"conditions": [
            {"type": "Ready", "status": status, "lastTransitionTime": time},
        ]})
    }

    #[test]
    fn a_status_of_another_time_is_the_same() {
        let earlier = ready_since("True", "2026-01-01T00:00:00Z");
        let later = ready_since("True", "2026-01-01T00:00:01Z");
        assert_eq!(digest(&earlier), digest(&later));
    }

    #[test]
    fn another_status_of_the_same_time_is_not() {
        let time = "2026-01-01T00:00:00Z";
        assert_ne!(
            digest(&ready_since("True", time)),
            digest(&ready_since("False", time))
        );
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(is_earlier_version(Some("99"), Some("100")));
        assert!(!is_earlier_version(Some("100"), Some("100")));
    }

    #[test]
    fn what_is_no_number_is_in_no_order() {
        assert!(!is_earlier_version(None, Some("100")));
        assert!(!is_earlier_version(Some("a"), Some("b")));
    }
}
