//! The only writer of Kubernetes objects: server-side apply of what a plan
//! says, pruning of what it no longer says.

mod difference;
mod error;
mod ownership;
mod status;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use agentapi_crds::names;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) use error::WriteError;
pub(crate) use status::Own;

use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::object::{Kind, Object, Owner, title};
use crate::watch::OwnedObjects;

/// Writes objects, as long as this replica leads.
pub struct Writer {
    client: Client,
    leadership: Leadership,
    owned: OwnedObjects,
    metrics: Metrics,
    /// What was last applied, by the object's title: a live object at that
    /// version needs no second look.
    applied: Mutex<HashMap<String, Applied>>,
}

#[derive(Clone, PartialEq, Eq)]
struct Applied {
    organization_uid: String,
    hash: String,
    resource_version: String,
}

impl Writer {
    /// A writer that knows the present objects from `owned`.
    pub fn new(
        client: Client,
        leadership: Leadership,
        owned: OwnedObjects,
        metrics: Metrics,
    ) -> Self {
        Self {
            client,
            leadership,
            owned,
            metrics,
            applied: Mutex::default(),
        }
    }

    /// The client, for reading.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Makes one object as planned. Writes nothing when it already is.
    ///
    /// # Errors
    /// [`WriteError::NotOurs`] when an object of that name exists that the
    /// operator did not make for this organization: it is never adopted.
    pub async fn apply(&self, object: &Object) -> Result<(), WriteError> {
        let hash = hex::encode(Sha256::digest(object.manifest.to_string()));
        if self.is_as_applied(object, &hash) {
            return Ok(());
        }
        let api = self.api(object.kind, object.namespace.as_deref());
        let live = api
            .get_opt(&object.name)
            .await
            .map_err(|source| WriteError::read(object.title(), source))?;
        if let Some(live) = &live {
            ownership::check(object, &live.metadata)?;
            if is_unchanged(object, &hash, live) {
                self.remember(object, hash, live);
                return Ok(());
            }
        }
        let applied = self.patch(&api, object, &hash, live.as_ref()).await?;
        let applied = self.drop_foreign_template(&api, object, applied).await?;
        self.remember(object, hash, &applied);
        Ok(())
    }

    async fn patch(
        &self,
        api: &Api<DynamicObject>,
        object: &Object,
        hash: &str,
        live: Option<&DynamicObject>,
    ) -> Result<DynamicObject, WriteError> {
        self.leadership.check()?;
        let mut manifest = object.manifest.clone();
        manifest["metadata"]["annotations"][names::APPLIED_HASH_ANNOTATION] = json!(hash);
        // Only the object that was looked at may be changed, not another that took its name.
        if let Some(uid) = live.and_then(ResourceExt::uid) {
            manifest["metadata"]["uid"] = json!(uid);
        }
        let parameters = PatchParams::apply(names::MANAGER).force();
        let applied = api
            .patch(&object.name, &parameters, &Patch::Apply(&manifest))
            .await
            .map_err(|source| WriteError::write(object.title(), source))?;
        self.metrics.written(object.kind.name(), "apply");
        tracing::info!(object = object.title(), "applied");
        Ok(applied)
    }

    /// Pod templates are ours as a whole: what others added to one is taken out
    /// again, which applying cannot do to fields that others own.
    async fn drop_foreign_template(
        &self,
        api: &Api<DynamicObject>,
        object: &Object,
        applied: DynamicObject,
    ) -> Result<DynamicObject, WriteError> {
        if object.kind != Kind::Deployment || !ownership::has_foreign_template(&applied.metadata) {
            return Ok(applied);
        }
        self.leadership.check()?;
        let operations = json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": applied.resource_version()},
            {"op": "replace", "path": "/spec/template", "value": object.manifest["spec"]["template"]},
        ]);
        let patch: Patch<DynamicObject> =
            Patch::Json(serde_json::from_value(operations).map_err(|source| {
                WriteError::Encode {
                    object: object.title(),
                    source,
                }
            })?);
        let replaced = api
            .patch(&object.name, &PatchParams::default(), &patch)
            .await
            .map_err(|source| WriteError::write(object.title(), source))?;
        self.metrics.written(object.kind.name(), "replace");
        tracing::warn!(
            object = object.title(),
            "took out what others had put into the pod template"
        );
        Ok(replaced)
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
        self.leadership.check()?;
        let title = title(kind, namespace, name);
        let parameters = DeleteParams::background().preconditions(Preconditions {
            uid,
            resource_version: None,
        });
        match self.api(kind, namespace).delete(name, &parameters).await {
            Ok(_) => {
                self.metrics.written(kind.name(), "delete");
                tracing::info!(object = title, "deleted");
                Ok(true)
            }
            // Gone, or another object has the name by now: nothing of ours is left.
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
                Ok(false)
            }
            Err(source) => Err(WriteError::write(title, source)),
        }
    }

    /// Forgets an organization that is gone.
    pub(crate) fn forget(&self, organization: &Owner) {
        let mut memory = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        memory.retain(|_, applied| applied.organization_uid != organization.uid);
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
        let live = self
            .api(kind, namespace)
            .get_opt(name)
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

    /// Whether the watched object is at the version that was applied with this hash.
    fn is_as_applied(&self, object: &Object, hash: &str) -> bool {
        let memory = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = self.owned.get(object);
        match (memory.get(&object.title()), watched) {
            (Some(applied), Some(watched)) => {
                applied.hash == hash
                    && watched.resource_version().as_deref() == Some(&applied.resource_version)
            }
            _ => false,
        }
    }

    fn remember(&self, object: &Object, hash: String, live: &DynamicObject) {
        let resource_version = live.resource_version().unwrap_or_default();
        let mut memory = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        memory.insert(
            object.title(),
            Applied {
                organization_uid: object.owner.uid.clone(),
                hash,
                resource_version,
            },
        );
    }
}

/// Whether the live object was made from this manifest and still says what it says.
fn is_unchanged(object: &Object, hash: &str, live: &DynamicObject) -> bool {
    let annotated = live.annotations().get(names::APPLIED_HASH_ANNOTATION);
    let content: Value = json!({
        "metadata": {"labels": live.metadata.labels, "ownerReferences": live.metadata.owner_references},
    });
    annotated.is_some_and(|annotated| annotated == hash)
        && !(object.kind == Kind::Deployment && ownership::has_foreign_template(&live.metadata))
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
