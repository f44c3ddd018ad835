//! The only writer of Kubernetes objects: server-side apply of what a plan
//! says, pruning of what it no longer says.

mod difference;
mod error;
mod memory;
mod ownership;
mod status;
mod whole;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use agentapi_crds::names;
use futures::{StreamExt, stream};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) use error::WriteError;
pub(crate) use status::{Own, title_of};

use self::memory::Memory;
use self::status::WrittenStatus;
use crate::events::Announcer;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::object::{Kind, Object, Owner, title};
use crate::watch::OwnedObjects;

/// Longest wait for the answer to one request.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Objects of one organization written at one time.
const CONCURRENCY: usize = 4;
/// A version that no object has: etcd's first revision is before every write.
/// An apply that names it creates, and is refused where an object exists.
const NO_VERSION: &str = "1";

/// Writes objects, as long as this replica leads.
pub struct Writer {
    client: Client,
    leadership: Leadership,
    owned: OwnedObjects,
    announcer: Announcer,
    metrics: Metrics,
    /// What is known of objects, by their titles.
    memory: Mutex<HashMap<String, Memory>>,
    /// Statuses that the watch may not show yet, by the title of their resource.
    statuses: Mutex<HashMap<String, WrittenStatus>>,
}

impl Writer {
    /// A writer that knows the present objects from `owned`.
    pub(crate) fn new(
        client: Client,
        leadership: Leadership,
        owned: OwnedObjects,
        announcer: Announcer,
        metrics: Metrics,
    ) -> Self {
        Self {
            client,
            leadership,
            owned,
            announcer,
            metrics,
            memory: Mutex::default(),
            statuses: Mutex::default(),
        }
    }

    /// The client, for reading.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Makes one object as planned. Writes nothing when it already is.
    /// What belongs to `predecessor` is taken over.
    ///
    /// # Errors
    /// [`WriteError::NotOurs`] when an object of that name exists that the
    /// operator made neither for this organization nor for `predecessor`: it
    /// is never adopted.
    pub async fn apply(
        &self,
        object: &Object,
        predecessor: Option<&Owner>,
    ) -> Result<(), WriteError> {
        let hash = hex::encode(Sha256::digest(object.manifest.to_string()));
        if self.is_as_applied(object, &hash) {
            return Ok(());
        }
        let api = self.api(object.kind, object.namespace.as_deref());
        let may_be_absent = self.owned.get(object).is_none() && !self.was_refused(object);
        if may_be_absent && self.create(&api, object, &hash).await? {
            return Ok(());
        }
        let live = answer(api.get_opt(&object.name))
            .await
            .map_err(|source| WriteError::read(object.title(), source))?;
        let Some(live) = live else {
            let is_created = self.create(&api, object, &hash).await?;
            return is_created
                .then_some(())
                .ok_or_else(|| WriteError::Changing {
                    object: object.title(),
                });
        };
        let claim = ownership::Claim {
            object,
            hash: &hash,
            known_uid: self.known_uid(object),
            predecessor,
        };
        if let Err(error) = claim.check(&live) {
            self.remember_refusal(object, &error);
            return Err(error);
        }
        if is_unchanged(object, &hash, &live) {
            self.remember(object, hash, &live);
            return Ok(());
        }
        let applied = match self.update(&api, object, &hash, &live).await {
            Ok(applied) => applied,
            // What others changed may contradict what is applied beside it.
            Err(error) if error.is_invalid() && whole::is_shared(object.kind, &live.metadata) => {
                let restored = self.restore(&api, object, &live).await?;
                self.update(&api, object, &hash, &restored).await?
            }
            Err(error) => return Err(error),
        };
        let applied = if whole::is_shared(object.kind, &applied.metadata) {
            self.restore(&api, object, &applied).await?
        } else {
            applied
        };
        self.remember(object, hash, &applied);
        Ok(())
    }

    /// Makes objects whose order does not matter, a few at a time.
    ///
    /// # Errors
    /// The first of [`Writer::apply`]; the others are made nevertheless.
    pub async fn apply_all(
        &self,
        objects: &[&Object],
        predecessor: Option<&Owner>,
    ) -> Result<(), WriteError> {
        let writes = objects.iter().copied();
        let writes: Vec<_> = writes
            .map(|object| self.apply(object, predecessor))
            .collect();
        let results: Vec<_> = stream::iter(writes)
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        results.into_iter().collect()
    }

    /// Creates an object. Returns whether it did, or one of that name exists:
    /// nothing that appeared meanwhile is ever changed.
    async fn create(
        &self,
        api: &Api<DynamicObject>,
        object: &Object,
        hash: &str,
    ) -> Result<bool, WriteError> {
        let version = json!(NO_VERSION);
        match self
            .patch(api, object, hash, "resourceVersion", version)
            .await
        {
            Ok(created) => {
                self.metrics.written(object.kind.name(), "create");
                tracing::info!(object = object.title(), "created");
                self.remember(object, hash.to_owned(), &created);
                Ok(true)
            }
            Err(WriteError::Write { source, .. }) if is_conflict(&source) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Changes the object that was looked at, and no other that took its name.
    async fn update(
        &self,
        api: &Api<DynamicObject>,
        object: &Object,
        hash: &str,
        live: &DynamicObject,
    ) -> Result<DynamicObject, WriteError> {
        let applied = self
            .patch(api, object, hash, "uid", json!(live.uid()))
            .await?;
        self.metrics.written(object.kind.name(), "apply");
        tracing::info!(object = object.title(), "applied");
        Ok(applied)
    }

    /// Applies an object on a condition in its metadata.
    async fn patch(
        &self,
        api: &Api<DynamicObject>,
        object: &Object,
        hash: &str,
        condition: &str,
        value: Value,
    ) -> Result<DynamicObject, WriteError> {
        let mut manifest = object.manifest.clone();
        manifest["metadata"]["annotations"][names::APPLIED_HASH_ANNOTATION] = json!(hash);
        manifest["metadata"][condition] = value;
        let parameters = PatchParams::apply(names::MANAGER).force();
        self.leadership.check()?;
        answer(api.patch(&object.name, &parameters, &Patch::Apply(&manifest)))
            .await
            .map_err(|source| WriteError::write(object.title(), source))
    }

    /// Makes what is owned whole what the plan says, and nobody else's.
    async fn restore(
        &self,
        api: &Api<DynamicObject>,
        object: &Object,
        live: &DynamicObject,
    ) -> Result<DynamicObject, WriteError> {
        let encode = |source| WriteError::Encode {
            object: object.title(),
            source,
        };
        let operations = whole::restoration(object, &live.metadata);
        let operations = serde_json::from_value(json!(operations)).map_err(encode)?;
        let patch: Patch<DynamicObject> = Patch::Json(operations);
        self.leadership.check()?;
        let restored = answer(api.patch(&object.name, &PatchParams::default(), &patch))
            .await
            .map_err(|source| WriteError::write(object.title(), source))?;
        self.metrics.written(object.kind.name(), "replace");
        tracing::warn!(
            object = object.title(),
            "took out what others had put into what is the operator's"
        );
        Ok(restored)
    }

    /// Deletes what an owner has of `kinds` in `namespace` beyond `keep`.
    pub async fn prune(
        &self,
        owner: &Owner,
        kinds: &[Kind],
        namespace: &str,
        keep: &[Object],
    ) -> Result<(), WriteError> {
        for kind in kinds {
            for live in self.owned.of(*kind, owner, namespace) {
                let name = live.name_any();
                let wanted = keep.iter().any(|object| {
                    object.kind == *kind
                        && object.name == name
                        && object.namespace.as_deref() == Some(namespace)
                });
                if !wanted {
                    self.delete(*kind, Some(namespace), &name, live.uid())
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// Deletes the object with that UID. Returns whether it still was there.
    pub async fn delete(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
        uid: Option<String>,
    ) -> Result<bool, WriteError> {
        let title = title(kind, namespace, name);
        let parameters = DeleteParams::background().preconditions(Preconditions {
            uid,
            resource_version: None,
        });
        self.leadership.check()?;
        match answer(self.api(kind, namespace).delete(name, &parameters)).await {
            Ok(_) => {
                self.forget_object(&title);
                self.metrics.written(kind.name(), "delete");
                tracing::info!(object = title, "deleted");
                Ok(true)
            }
            // Gone, or another object has the name by now: nothing of ours is left.
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                self.forget_object(&title);
                Ok(false)
            }
            Err(source) => Err(WriteError::write(title, source)),
        }
    }

    /// An object, if it is there and belongs to that owner.
    pub async fn get_owned(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
        owner: &Owner,
    ) -> Result<Option<DynamicObject>, WriteError> {
        let title = title(kind, namespace, name);
        let live = answer(self.api(kind, namespace).get_opt(name))
            .await
            .map_err(|source| WriteError::read(title, source))?;
        Ok(live.filter(|live| ownership::belongs_to(owner, &live.metadata)))
    }

    fn api(&self, kind: Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        let resource = kind.api_resource();
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }
}

/// The answer to a request, unless it takes too long.
async fn answer<T>(request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    match tokio::time::timeout(LONGEST_WAIT, request).await {
        Ok(result) => result,
        Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict() || status.is_already_exists())
}

/// Whether the live object was made from this manifest and still says what it says.
fn is_unchanged(object: &Object, hash: &str, live: &DynamicObject) -> bool {
    let annotated = live.annotations().get(names::APPLIED_HASH_ANNOTATION);
    let content: Value = json!({
        "metadata": {
            "labels": live.metadata.labels,
            "annotations": live.metadata.annotations,
            "ownerReferences": live.metadata.owner_references,
        },
    });
    annotated.is_some_and(|annotated| annotated == hash)
        && !whole::is_shared(object.kind, &live.metadata)
        && ownership::owns_all(&object.manifest, &live.metadata)
        && difference::covers(
            &object.manifest["metadata"],
            &content["metadata"],
            &["name", "namespace"],
        )
        && difference::covers(
            &object.manifest,
            &live.data,
            &["apiVersion", "kind", "metadata"],
        )
}
