//! Two replicas, of which the leader stands still past its lease and wakes up
//! while the other leads.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::tenant::is_true;
use crate::bare_cluster::{BareCluster, Operator};
use crate::eventually::within;

/// Longest wait for anything here but the takeover.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long the old leader goes on standing still once it has a successor.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// What happened.
pub struct Takeover {
    /// From the old leader's standstill to the other's first word as the leader.
    pub took: Duration,
    /// Organizations that were ready when the leader stood still.
    pub ready_before: usize,
    /// Successful writes of the old leader and of the new one.
    pub writes: (usize, usize),
    /// Writes of the old leader after the new one led, as the audit log has them.
    pub late: Vec<String>,
    /// Whether the old leader ended by itself, as one that lost its lease must.
    pub old_ended: bool,
}

/// Runs the case with `count` organizations pending.
pub async fn takeover(cluster: &BareCluster, count: usize) -> Result<Takeover> {
    let manifests: Vec<Value> = (0..count)
        .map(|index| {
            json!({
                "apiVersion": "agentapi.dev/v1alpha1",
                "kind": "Organization",
                "metadata": {"name": format!("pending-{index}")},
                "spec": {"deletionPolicy": "Delete", "displayName": "Pending"},
            })
        })
        .collect();
    for manifest in &manifests {
        cluster.apply_object(manifest).await?;
    }
    let server = cluster.server();
    let mut old = cluster.operator(&server).await?;
    wait_for_holder(cluster, None).await?;
    let holder = lease(cluster).await?.context("nobody leads")?.0;
    let mut new = cluster.operator(&server).await?;
    // In the middle of its work.
    within(PATIENCE, "some organizations are ready", async || {
        let ready = ready(cluster).await?;
        ensure!(ready >= count / 10, "{ready} are");
        Ok(())
    })
    .await?;
    old.freeze()?;
    let frozen = Instant::now();
    let ready_before = ready(cluster).await?;
    wait_for_holder(cluster, Some(&holder)).await?;
    let took = frozen.elapsed();
    tokio::time::sleep(AFTERWARDS).await;
    old.thaw()?;
    within(PATIENCE, "all organizations are ready", async || {
        let ready = ready(cluster).await?;
        ensure!(ready == count, "{ready} of {count} are");
        Ok(())
    })
    .await?;
    let old_ended = within(Duration::from_secs(20), "the old leader ends", async || {
        ensure!(has_ended(&old)?, "it runs");
        Ok(())
    })
    .await
    .is_ok();
    old.kill().await?;
    new.kill().await?;
    cluster.drop_lease().await?;
    let writes = Writes::read(&cluster.audit_log, &old.credential, &new.credential)?;
    Ok(Takeover {
        took,
        ready_before,
        writes: (writes.old.len(), writes.new),
        late: writes.late()?,
        old_ended,
    })
}

fn has_ended(operator: &Operator) -> Result<bool> {
    // A process that ended and was not waited for is a zombie.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", operator.id()?))?;
    let state = stat
        .rsplit_once(") ")
        .map(|(_, rest)| rest.starts_with('Z'));
    Ok(state.unwrap_or(true))
}

/// Holder of the Lease, and its version.
async fn lease(cluster: &BareCluster) -> Result<Option<(String, i64)>> {
    use k8s_openapi::api::coordination::v1::Lease;
    let leases: kube::Api<Lease> =
        kube::Api::namespaced(cluster.admin.clone(), crate::bare_cluster::PLATFORM);
    let lease = leases.get_opt("agentapi-operator").await?;
    Ok(lease.and_then(|lease| lease.spec).and_then(|spec| {
        let transitions = i64::from(spec.lease_transitions.unwrap_or_default());
        Some((spec.holder_identity?, transitions))
    }))
}

async fn wait_for_holder(cluster: &BareCluster, other_than: Option<&str>) -> Result<()> {
    within(PATIENCE, "somebody leads", async || {
        let (holder, _) = lease(cluster).await?.context("nobody leads")?;
        ensure!(Some(holder.as_str()) != other_than, "{holder} leads");
        Ok(())
    })
    .await
}

async fn ready(cluster: &BareCluster) -> Result<usize> {
    let all = cluster.own("Organization", None)?;
    let all = all.list(&Default::default()).await?;
    Ok(all
        .iter()
        .filter(|organization| is_true(&organization.data, "Ready"))
        .count())
}

/// Successful writes by two credentials, from the API server's audit log.
struct Writes {
    /// Of the old leader: when the API server received them, and what they were.
    old: Vec<(String, String)>,
    /// How many of the new leader.
    new: usize,
    /// When the new leader's first successful write of the Lease was done.
    led: Option<String>,
}

impl Writes {
    fn read(log: &Path, old: &str, new: &str) -> Result<Self> {
        let text = std::fs::read_to_string(log)
            .with_context(|| format!("{} cannot be read", log.display()))?;
        let mut writes = Self {
            old: Vec::new(),
            new: 0,
            led: None,
        };
        let mine = |line: &str| line.contains(old) || line.contains(new);
        for line in text.lines().filter(|line| mine(line)) {
            // The last line may be under way.
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            if is_successful_write(&event) {
                writes.note(&event, old, new);
            }
        }
        Ok(writes)
    }

    fn note(&mut self, event: &Value, old: &str, new: &str) {
        let id = &event["user"]["extra"]["authentication.kubernetes.io/credential-id"][0];
        let id = id.as_str().unwrap_or_default();
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let is_lease = event["objectRef"]["resource"] == "leases";
        if id.ends_with(new) {
            self.new += usize::from(!is_lease);
            let is_first = self.led.is_none();
            if is_lease && is_first {
                self.led = Some(text("stageTimestamp"));
            }
        } else if id.ends_with(old) {
            let what = format!("{} {}", text("verb"), text("requestURI"));
            self.old.push((text("requestReceivedTimestamp"), what));
        }
    }

    /// Writes that the API server received from the old leader after the new one led.
    fn late(&self) -> Result<Vec<String>> {
        let led = self.led.as_ref().context("the new leader never led")?;
        let led: jiff::Timestamp = led.parse()?;
        let mut late = BTreeMap::new();
        for (received, what) in &self.old {
            let received: jiff::Timestamp = received.parse()?;
            if received > led {
                late.insert(received, format!("{received} {what} (led since {led})"));
            }
        }
        Ok(late.into_values().collect())
    }
}

fn is_successful_write(event: &Value) -> bool {
    let reads = ["get", "list", "watch"];
    let verb = event["verb"].as_str().unwrap_or_default();
    let code = event["responseStatus"]["code"].as_u64().unwrap_or_default();
    event["stage"] == "ResponseComplete"
        && !reads.contains(&verb)
        && (200..300).contains(&code)
        && event["objectRef"]["subresource"] != "token"
}
