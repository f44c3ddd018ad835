//! Every field of every resource added, changed, removed and reverted: each
//! time the state equals that of an organization made with that spec.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt};
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use uuid::Uuid;

use super::schema::{Examples, Field, fields};
use super::tenant::{excerpt, is_true};
use crate::bare_cluster::{ApiProxy, BareCluster, Snapshot, difference, documents};
use crate::eventually::within;

/// Fields that are worked on at one time.
const BATCH: usize = 20;
/// Requests of the test's own under way at one time.
const CONCURRENCY: usize = 6;
/// The operator is done when it has not written for so long: longer than any
/// pause with which it waits for something that a healthy cluster gives it.
const QUIET: Duration = Duration::from_secs(2);
/// Longest wait for that.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the subject of a proof stands in.
const SURROUNDINGS: &str = r#"
apiVersion: agentapi.dev/v1alpha1
kind: Organization
metadata: {name: NAME}
spec: {displayName: Surroundings}
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: org-NAME, labels: {agentapi.dev/use: credential}}
stringData: {value: secret, extra: secret}
---
apiVersion: v1
kind: Secret
metadata: {name: other, namespace: org-NAME, labels: {agentapi.dev/use: credential}}
stringData: {value: secret, extra: secret}
---
apiVersion: agentapi.dev/v1alpha1
kind: McpServer
metadata: {name: steady, namespace: org-NAME}
spec: {container: {image: "registry.example.com/one/steady:1", port: 8000}}
---
apiVersion: agentapi.dev/v1alpha1
kind: PromptPolicy
metadata: {name: calm, namespace: org-NAME}
spec: {template: "Stay calm."}
"#;

/// What came of one kind.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Fields gone through all steps.
    pub fields: usize,
    /// Fields whose change the API server refuses by a rule of the schema.
    pub immutable: Vec<String>,
    /// Values that the operator refused, and that stalled their resource alone.
    pub stalled: Vec<String>,
    /// What did not hold.
    pub failures: Vec<String>,
}

/// A field with the specs that it is taken through.
struct Case {
    path: String,
    without: Value,
    one: Value,
    two: Value,
}

/// A step of a field's way, and the spec that it gives the resource.
type Step = (&'static str, fn(&Case) -> &Value);

/// The fields of one kind, with specs that the API server takes.
pub struct Fields {
    kind: &'static str,
    cases: Vec<Case>,
    immutable: Vec<Case>,
}

impl Fields {
    /// Enumerates the fields from the schema that the API server has, and finds
    /// values for each. A field without two valid values fails.
    pub async fn of(cluster: &BareCluster, kind: &'static str) -> Result<Self> {
        let examples = Examples::of(kind)?;
        let schema = cluster.spec_schema(kind).await?;
        let all = fields(&schema);
        ensure!(!all.is_empty(), "the schema of {kind} has no fields");
        let cases: Vec<(bool, Case)> = futures::stream::iter(&all)
            .map(async |field| {
                let case = case(cluster, kind, field, &examples).await?;
                Ok::<_, anyhow::Error>((field.is_immutable(), case))
            })
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        let (immutable, cases): (Vec<_>, Vec<_>) =
            cases.into_iter().partition(|(immutable, _)| *immutable);
        let bare = |cases: Vec<(bool, Case)>| cases.into_iter().map(|(_, case)| case).collect();
        Ok(Self {
            kind,
            cases: bare(cases),
            immutable: bare(immutable),
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.cases.len() + self.immutable.len()
    }

    /// Takes every field through its steps.
    pub async fn prove(&self, cluster: &BareCluster) -> Result<Outcome> {
        let proxy = ApiProxy::start(&cluster.config).await?;
        let mut operator = cluster.operator(&proxy.url()).await?;
        let mut outcome = Outcome::default();
        for case in &self.immutable {
            self.prove_immutable(cluster, case, &mut outcome).await?;
        }
        for batch in self.cases.chunks(BATCH) {
            let round = Round {
                cluster,
                proxy: &proxy,
                kind: self.kind,
            };
            round.prove(batch, &mut outcome).await?;
            println!(
                "{}: {} of {} fields, {} failures",
                self.kind,
                outcome.fields,
                self.count(),
                outcome.failures.len()
            );
        }
        operator.kill().await?;
        cluster.drop_lease().await?;
        Ok(outcome)
    }

    /// A field that cannot be changed: adding, changing and removing it later
    /// are each refused as invalid.
    async fn prove_immutable(
        &self,
        cluster: &BareCluster,
        case: &Case,
        outcome: &mut Outcome,
    ) -> Result<()> {
        for (before, after) in [
            (&case.without, &case.one),
            (&case.one, &case.two),
            (&case.one, &case.without),
        ] {
            let subject = Subject::new(self.kind);
            cluster.apply_object(&subject.manifest(before)).await?;
            let Err(error) = subject.change(cluster, after).await else {
                bail!("{} was changed to {after}", case.path);
            };
            let status = error.downcast_ref::<kube::Error>();
            let is_invalid =
                matches!(status, Some(kube::Error::Api(status)) if status.is_invalid());
            ensure!(is_invalid, "{}: {error:#}", case.path);
            subject.delete(cluster).await?;
        }
        outcome.fields += 1;
        outcome.immutable.push(case.path.clone());
        Ok(())
    }
}

async fn case(
    cluster: &BareCluster,
    kind: &str,
    field: &Field,
    examples: &Examples,
) -> Result<Case> {
    let path = field.path();
    let [one, two] = field.values(examples)?;
    let (one, two) = (
        field.spec_with(&one, examples)?,
        field.spec_with(&two, examples)?,
    );
    for spec in [&one, &two] {
        if let Some(refusal) = refusal(cluster, kind, spec).await? {
            bail!("{kind} {path}: the API server refuses {spec}: {refusal}");
        }
    }
    for without in field.specs_without(&one) {
        if refusal(cluster, kind, &without).await?.is_none() {
            return Ok(Case {
                path,
                without,
                one,
                two,
            });
        }
    }
    // Required at the top of the spec: there is no being without.
    Ok(Case {
        path: path.clone(),
        without: two.clone(),
        one,
        two,
    })
}

/// Why the API server would not take a spec, if so.
async fn refusal(cluster: &BareCluster, kind: &str, spec: &Value) -> Result<Option<String>> {
    let namespace = (kind != "Organization").then_some("default");
    let api = cluster.own(kind, namespace)?;
    let object = json!({
        "apiVersion": "agentapi.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "dry-run"},
        "spec": spec,
    });
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match api
        .create(&parameters, &serde_json::from_value(object)?)
        .await
    {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.is_invalid() => Ok(Some(status.message.clone())),
        Err(error) => Err(error.into()),
    }
}

/// A resource in an organization of its own.
struct Subject {
    kind: &'static str,
    organization: String,
}

impl Subject {
    fn new(kind: &'static str) -> Self {
        let random = Uuid::new_v4().simple().to_string();
        Self {
            kind,
            organization: format!("f{}", random.get(..10).unwrap_or(&random)),
        }
    }

    fn manifest(&self, spec: &Value) -> Value {
        let mut object = json!({
            "apiVersion": "agentapi.dev/v1alpha1",
            "kind": self.kind,
            "metadata": {"name": "subject", "namespace": format!("org-{}", self.organization)},
            "spec": spec,
        });
        if self.kind == "Organization" {
            object["metadata"] = json!({"name": self.organization});
        }
        object
    }

    /// Makes the surroundings and the resource.
    async fn make(&self, cluster: &BareCluster, spec: &Value) -> Result<()> {
        let manifests = SURROUNDINGS.replace("NAME", &self.organization);
        for mut object in documents(&manifests)? {
            if self.kind == "Organization" && object["kind"] == "Organization" {
                object = self.manifest(spec);
            }
            within(PATIENCE, "the namespace takes objects", async || {
                cluster.apply_object(&object).await.map(drop)
            })
            .await?;
        }
        if self.kind != "Organization" {
            cluster.apply_object(&self.manifest(spec)).await?;
        }
        Ok(())
    }

    /// Gives the resource another spec, as a whole: server-side apply makes a
    /// null of a map whose last owned entry is removed.
    async fn change(&self, cluster: &BareCluster, spec: &Value) -> Result<()> {
        let manifest = self.manifest(spec);
        let api = cluster.api_of(&manifest)?;
        let name = crate::bare_cluster::text(&manifest, "/metadata/name")?;
        within(PATIENCE, "the resource can be replaced", async || {
            let mut live = api.get(name).await?;
            live.data["spec"] = spec.clone();
            match api.replace(name, &PostParams::default(), &live).await {
                // The operator wrote meanwhile.
                Err(kube::Error::Api(status)) if status.is_conflict() => bail!("{status}"),
                replaced => Ok(replaced.map(drop)),
            }
        })
        .await??;
        Ok(())
    }

    async fn delete(&self, cluster: &BareCluster) -> Result<()> {
        let organizations = cluster.own("Organization", None)?;
        let parameters = DeleteParams::default();
        crate::bare_cluster::absent_is_fine(
            organizations.delete(&self.organization, &parameters).await,
        )
    }

    /// Why the operator refuses the resource, if it does.
    fn stall<'a>(&self, state: &'a Snapshot) -> Option<&'a str> {
        let title = match self.kind {
            "Organization" => "Organization <organization>".to_owned(),
            kind => format!("{kind} org-<organization>/subject"),
        };
        let object = state.get(&title)?;
        let conditions = object["status"]["conditions"].as_array()?;
        let stalled = conditions
            .iter()
            .find(|condition| condition["type"] == "Stalled")?;
        is_true(object, "Stalled").then(|| stalled["reason"].as_str().unwrap_or_default())
    }
}

/// A few fields at a time.
struct Round<'a> {
    cluster: &'a BareCluster,
    proxy: &'a ApiProxy,
    kind: &'static str,
}

impl Round<'_> {
    async fn prove(&self, cases: &[Case], outcome: &mut Outcome) -> Result<()> {
        let fresh = self.fresh(cases).await?;
        let subjects: Vec<Subject> = cases.iter().map(|_| Subject::new(self.kind)).collect();
        let pairs = || cases.iter().zip(&subjects);
        futures::stream::iter(pairs())
            .map(async |(case, subject)| subject.make(self.cluster, &case.without).await)
            .buffer_unordered(CONCURRENCY)
            .try_collect::<Vec<_>>()
            .await?;
        self.quiet().await?;
        let mut before = self.states(&subjects).await?;
        let steps: [Step; 5] = [
            ("made", |case| &case.without),
            ("added", |case| &case.one),
            ("changed", |case| &case.two),
            ("removed", |case| &case.without),
            ("reverted", |case| &case.one),
        ];
        for (step, spec) in steps {
            futures::stream::iter(pairs())
                .map(async |(case, subject)| subject.change(self.cluster, spec(case)).await)
                .buffer_unordered(CONCURRENCY)
                .try_collect::<Vec<_>>()
                .await?;
            self.quiet().await?;
            let now = self.states(&subjects).await?;
            for ((case, subject), (before, now)) in pairs().zip(before.iter().zip(&now)) {
                let expected = fresh
                    .get(&spec(case).to_string())
                    .context("a spec without a fresh state")?;
                judge(case, subject, step, expected, before, now, outcome);
            }
            before = now;
        }
        outcome.fields += cases.len();
        for subject in &subjects {
            subject.delete(self.cluster).await?;
        }
        Ok(())
    }

    /// The state of an organization made with each spec.
    async fn fresh(&self, cases: &[Case]) -> Result<BTreeMap<String, Snapshot>> {
        let mut specs: BTreeMap<String, (&Value, Subject)> = BTreeMap::new();
        for case in cases {
            for spec in [&case.without, &case.one, &case.two] {
                specs
                    .entry(spec.to_string())
                    .or_insert_with(|| (spec, Subject::new(self.kind)));
            }
        }
        futures::stream::iter(specs.values())
            .map(async |(spec, subject)| subject.make(self.cluster, spec).await)
            .buffer_unordered(CONCURRENCY)
            .try_collect::<Vec<_>>()
            .await?;
        self.quiet().await?;
        let states: Vec<(String, Snapshot)> = futures::stream::iter(&specs)
            .map(async |(text, (_, subject))| {
                let state = self.cluster.meaning(&subject.organization).await?;
                Ok::<_, anyhow::Error>((text.clone(), state))
            })
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        for (_, subject) in specs.values() {
            subject.delete(self.cluster).await?;
        }
        Ok(states.into_iter().collect())
    }

    async fn states(&self, subjects: &[Subject]) -> Result<Vec<Snapshot>> {
        futures::stream::iter(subjects)
            .map(async |subject| self.cluster.meaning(&subject.organization).await)
            .buffered(CONCURRENCY)
            .try_collect()
            .await
    }

    /// Waits until the operator has nothing more to write.
    async fn quiet(&self) -> Result<()> {
        let asked = std::time::Instant::now();
        within(PATIENCE, "the operator comes to rest", async || {
            let last = self.proxy.last_write().unwrap_or(asked).max(asked);
            ensure!(last.elapsed() >= QUIET, "it wrote {:?} ago", last.elapsed());
            Ok(())
        })
        .await
    }
}

/// Compares with a fresh organization; where the operator refuses the spec,
/// with what the others were before.
fn judge(
    case: &Case,
    subject: &Subject,
    step: &str,
    expected: &Snapshot,
    before: &Snapshot,
    now: &Snapshot,
    outcome: &mut Outcome,
) {
    let Some(reason) = subject.stall(expected) else {
        let lines = difference(expected, now);
        if !lines.is_empty() {
            let what = format!("{} {step}:\n  {}", case.path, excerpt(&lines));
            outcome.failures.push(what);
        }
        return;
    };
    let found = subject.stall(now);
    if found != Some(reason) {
        let what = format!(
            "{} {step}: expected to stall by {reason}, found {found:?}",
            case.path
        );
        outcome.failures.push(what);
    }
    let lines = difference(&others(before), &others(now));
    if !lines.is_empty() {
        let what = format!("{} {step} stalls others:\n  {}", case.path, excerpt(&lines));
        outcome.failures.push(what);
    }
    outcome
        .stalled
        .push(format!("{} {step}: {reason}", case.path));
}

/// What has to stay as it is while the subject stalls: everything in the
/// surroundings that is made for somebody else.
fn others(state: &Snapshot) -> Snapshot {
    let is_other = |title: &str| title.ends_with("/steady") || title.ends_with("/calm");
    state
        .iter()
        .filter(|(title, _)| is_other(title))
        .map(|(title, object)| (title.clone(), object.clone()))
        .collect()
}
