//! Every owned object deleted, every owned field changed or taken away.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::owned_fields::{OwnedField, changes, owned_fields};
use super::tenant::{Phase, Tenant, excerpt};
use crate::bare_cluster::{BareCluster, difference};
use crate::eventually::within;

/// Whatever others change is as it was after this long.
const LIMIT: Duration = Duration::from_secs(10);
/// Waits are longer, so that a late repair is told from a missing one.
const PATIENCE: Duration = Duration::from_secs(12);
/// Field manager of the operator's applies.
const OPERATOR: &str = "agentapi-operator";
/// Who changes what is not theirs.
const STRANGER: &str = "stranger";
/// What a stranger adds, and what must stay.
const FOREIGN: &str = "example.com/foreign";

/// What came of it.
#[derive(Default)]
pub struct Drifts {
    /// Objects deleted and back.
    pub objects: usize,
    /// Fields changed or taken away, and back.
    pub fields: usize,
    /// Fields that the API server itself lets nobody change.
    pub held: Vec<String>,
    /// The longest repair.
    pub longest: Duration,
    /// What was not repaired in time.
    pub failures: Vec<String>,
}

/// An organization under an operator, to be interfered with.
pub struct Interference<'a> {
    cluster: &'a BareCluster,
    tenant: Tenant,
    drifts: Drifts,
}

impl<'a> Interference<'a> {
    /// An organization with one of everything. The operator must run.
    pub async fn begin(cluster: &'a BareCluster) -> Result<Self> {
        let tenant = Tenant::new("drift");
        tenant.ask(cluster, Phase::Created).await?;
        tenant.wait(cluster, Phase::Created).await?;
        tenant.settled(cluster).await?;
        Ok(Self {
            cluster,
            tenant,
            drifts: Drifts::default(),
        })
    }

    /// Changes every owned field of every object that `pick` names, one after
    /// the other; fields of others must survive.
    pub async fn change_fields(&mut self, pick: impl Fn(&Value) -> bool) -> Result<()> {
        let objects = self.owned().await?;
        let objects: Vec<Value> = objects.into_iter().filter(pick).collect();
        ensure!(!objects.is_empty(), "there are no owned objects");
        let before = self.cluster.snapshot(&self.tenant.name).await?;
        for object in &objects {
            self.add_foreign(object).await?;
            let fields = owned_fields(object, OPERATOR);
            ensure!(!fields.is_empty(), "{} has no owned fields", title(object));
            for field in fields {
                self.change(object, &field).await?;
            }
            self.take_foreign(object).await?;
        }
        self.expect_state("after all changes", &before).await
    }

    /// Deletes every owned object in the namespace and of the documents.
    pub async fn delete_objects(&mut self, pick: impl Fn(&Value) -> bool) -> Result<()> {
        let before = self.cluster.snapshot(&self.tenant.name).await?;
        for object in self.owned().await? {
            if object["kind"] == "Namespace" || !pick(&object) {
                continue;
            }
            let (api, name) = self.place(&object)?;
            api.delete(&name, &DeleteParams::background()).await?;
            let uid = object["metadata"]["uid"].as_str().map(str::to_owned);
            let started = Instant::now();
            let back = within(PATIENCE, "it comes back", async || {
                let found = api.get_opt(&name).await?.context("it is gone")?;
                ensure!(found.uid() != uid, "it is still being deleted");
                Ok(())
            })
            .await;
            self.note(&format!("{} deleted", title(&object)), started, back);
            self.drifts.objects += 1;
        }
        self.expect_state("after all deletions", &before).await
    }

    /// What came of it.
    pub fn end(self) -> Drifts {
        self.drifts
    }

    /// All objects of the organization of which the operator owns fields.
    async fn owned(&self) -> Result<Vec<Value>> {
        let objects = self.cluster.objects(&self.tenant.name).await?;
        let belongs = |object: &Value| {
            object.pointer("/metadata/labels/agentapi.dev~1organization")
                == Some(&json!(self.tenant.name))
        };
        Ok(objects
            .into_iter()
            .filter(|object| belongs(object) && !owned_fields(object, OPERATOR).is_empty())
            .collect())
    }

    fn place(&self, object: &Value) -> Result<(Api<DynamicObject>, String)> {
        let name = object["metadata"]["name"].as_str().context("no name")?;
        Ok((self.cluster.api_of(object)?, name.to_owned()))
    }

    async fn change(&mut self, object: &Value, field: &OwnedField) -> Result<()> {
        let (api, name) = self.place(object)?;
        let live = serde_json::to_value(api.get(&name).await?)?;
        let place = format!("{}: {}", title(object), field.title());
        // The API server leaves empty values out; there is nothing to change then.
        let (Some(pointer), Some(wanted)) = (field.pointer(&live), field.value(&live)) else {
            return Ok(());
        };
        let mut operations = changes(&pointer, wanted);
        if field.is_label() {
            // Both: another value, and none.
            let removal = operations.split_off(operations.len() - 1);
            self.drift(
                &api,
                &name,
                field,
                wanted,
                removal,
                &format!("{place} removed"),
            )
            .await?;
        }
        self.drift(&api, &name, field, wanted, operations, &place)
            .await
    }

    /// Makes the first change that the API server takes, and waits for its repair.
    async fn drift(
        &mut self,
        api: &Api<DynamicObject>,
        name: &str,
        field: &OwnedField,
        wanted: &Value,
        operations: Vec<Value>,
        place: &str,
    ) -> Result<()> {
        let parameters = PatchParams {
            field_manager: Some(STRANGER.to_owned()),
            ..PatchParams::default()
        };
        for operation in operations {
            let patch: Patch<DynamicObject> = Patch::Json(serde_json::from_value(operation)?);
            let started = Instant::now();
            match api.patch(name, &parameters, &patch).await {
                Ok(changed) => {
                    // A default may have filled the same value in again.
                    if field.value(&serde_json::to_value(changed)?) == Some(wanted) {
                        continue;
                    }
                }
                Err(kube::Error::Api(status)) if (400..500).contains(&status.code) => continue,
                Err(error) => return Err(error.into()),
            }
            let repaired = within(PATIENCE, "it is as it was", async || {
                let live = serde_json::to_value(api.get(name).await?)?;
                let found = field.value(&live);
                ensure!(found == Some(wanted), "it is {found:?} instead of {wanted}");
                Ok(())
            })
            .await;
            let is_broken = repaired.is_err();
            self.note(place, started, repaired);
            self.drifts.fields += 1;
            if is_broken {
                // So that one missing repair does not look like many.
                self.begin_anew(api, name, field, wanted).await?;
            }
            return Ok(());
        }
        self.drifts.held.push(place.to_owned());
        Ok(())
    }

    /// Takes the object away for the operator to make it anew; a label is set
    /// back, since by its labels the operator knows what is its own.
    async fn begin_anew(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        field: &OwnedField,
        wanted: &Value,
    ) -> Result<()> {
        if field.is_label() {
            let label = json!({"metadata": {"labels": {field.last(): wanted}}});
            api.patch(name, &PatchParams::default(), &Patch::Merge(&label))
                .await?;
            return Ok(());
        }
        let uid = api.get(name).await?.uid();
        api.delete(name, &DeleteParams::background()).await?;
        within(Duration::from_secs(60), "it is made anew", async || {
            let found = api.get(name).await?;
            ensure!(found.uid() != uid, "it is still being deleted");
            Ok(())
        })
        .await?;
        self.add_foreign_to(api, name).await
    }

    fn note(&mut self, place: &str, started: Instant, repaired: Result<()>) {
        let took = started.elapsed();
        println!("{took:>8.1?} {place}");
        self.drifts.longest = self.drifts.longest.max(took);
        match repaired {
            Err(error) => self.drifts.failures.push(format!("{place}: {error:#}")),
            Ok(()) if took > LIMIT => {
                self.drifts
                    .failures
                    .push(format!("{place}: only after {took:?}"));
            }
            Ok(()) => {}
        }
    }

    async fn add_foreign(&self, object: &Value) -> Result<()> {
        let (api, name) = self.place(object)?;
        self.add_foreign_to(&api, &name).await
    }

    async fn add_foreign_to(&self, api: &Api<DynamicObject>, name: &str) -> Result<()> {
        let foreign = json!({"metadata": {
            "labels": {FOREIGN: "stays"},
            "annotations": {FOREIGN: "stays"},
        }});
        let parameters = PatchParams {
            field_manager: Some(STRANGER.to_owned()),
            ..PatchParams::default()
        };
        api.patch(name, &parameters, &Patch::Merge(&foreign))
            .await?;
        Ok(())
    }

    /// Checks that what a stranger added has survived, and takes it away.
    async fn take_foreign(&mut self, object: &Value) -> Result<()> {
        let (api, name) = self.place(object)?;
        let live = api.get(&name).await?;
        let stays = |found: Option<&String>| found.map(String::as_str) == Some("stays");
        if !stays(live.labels().get(FOREIGN)) || !stays(live.annotations().get(FOREIGN)) {
            let what = format!("{}: what a stranger added is gone", title(object));
            self.drifts.failures.push(what);
        }
        let gone = json!({"metadata": {"labels": {FOREIGN: null}, "annotations": {FOREIGN: null}}});
        api.patch(&name, &PatchParams::default(), &Patch::Merge(&gone))
            .await?;
        Ok(())
    }

    async fn expect_state(
        &mut self,
        when: &str,
        expected: &crate::bare_cluster::Snapshot,
    ) -> Result<()> {
        // Changed pod templates leave ReplicaSets behind, which are not the operator's.
        let is_ours = |line: &String| {
            !["ReplicaSet", "Pod", "EndpointSlice", "Endpoints"]
                .iter()
                .any(|kind| line.starts_with(&format!("{kind} ")))
                && !line.contains("generation")
                && !line.contains(".status")
                && !line.contains("deployment.kubernetes.io/revision")
        };
        let equal = within(PATIENCE, "everything is as it was", async || {
            let found = self.cluster.snapshot(&self.tenant.name).await?;
            let mut lines = difference(expected, &found);
            lines.retain(is_ours);
            ensure!(lines.is_empty(), "{}", excerpt(&lines));
            Ok(())
        })
        .await;
        if let Err(error) = equal {
            self.drifts.failures.push(format!("{when}: {error:#}"));
        }
        Ok(())
    }
}

impl Drifts {
    /// Fails with everything that was not repaired in time.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.failures.is_empty(),
            "{} of {} drifts:\n  {}",
            self.failures.len(),
            self.fields + self.objects,
            self.failures.join("\n  ")
        );
        Ok(())
    }
}

fn title(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    format!(
        "{} {}",
        text("/kind").unwrap_or_default(),
        text("/metadata/name").unwrap_or_default()
    )
}
