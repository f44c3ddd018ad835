//! An API server that fails now and then, whose watches stand still, break and
//! expire, and that is gone for a while.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use http::StatusCode;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use serde_json::{Value, json};

use super::tenant::{Phase, Tenant, excerpt};
use crate::bare_cluster::{
    ApiProxy, ApiServer, BareCluster, Call, KeptOperator, Snapshot, Streams, Treatment, difference,
};
use crate::client::Client;
use crate::eventually::within;

/// Longest wait while every tenth call fails.
const PATIENCE: Duration = Duration::from_secs(180);
/// Pause between two breaks of all watches.
const BETWEEN_BREAKS: Duration = Duration::from_secs(3);

/// What a healthy API server makes of organizations.
pub struct Healthy {
    created: Snapshot,
    updated: Snapshot,
    /// Calls that one organization took.
    pub calls: usize,
}

/// What happened under faults.
pub struct Faults {
    /// Calls of the operator.
    pub calls: usize,
    /// Calls that were made to fail.
    pub failed: usize,
    /// How often the operator ended and was started again.
    pub restarts: u32,
}

impl Healthy {
    /// Takes one organization through its states.
    pub async fn run(cluster: &BareCluster) -> Result<Self> {
        let tenant = Tenant::new("healthy");
        let proxy = ApiProxy::start(&cluster.config).await?;
        let mut operator = cluster.operator(&proxy.url()).await?;
        let mut meanings = Vec::new();
        for phase in [Phase::Created, Phase::Updated] {
            tenant.ask(cluster, phase).await?;
            tenant.wait(cluster, phase).await?;
            tenant.settled(cluster).await?;
            meanings.push(cluster.meaning(&tenant.name).await?);
        }
        tenant.ask(cluster, Phase::Deleted).await?;
        tenant.wait(cluster, Phase::Deleted).await?;
        operator.kill().await?;
        cluster.drop_lease().await?;
        let updated = meanings.pop().context("no updated state")?;
        let created = meanings.pop().context("no created state")?;
        Ok(Self {
            created,
            updated,
            calls: proxy.take_calls().len(),
        })
    }

    /// The same for `count` organizations at once while every tenth call fails
    /// in one of five ways, and all watches break every few seconds.
    pub async fn with_faults(&self, cluster: &BareCluster, count: usize) -> Result<Faults> {
        let proxy = ApiProxy::start(&cluster.config).await?;
        let (mut chance, mut failed) = (Chance::default(), 0_usize);
        let (sender, failures) = tokio::sync::watch::channel(0);
        proxy.rule(move |call| {
            let treatment = chance.treatment(call);
            failed += usize::from(treatment != Treatment::Forward);
            sender.send_replace(failed);
            treatment
        });
        let operator = KeptOperator::start(cluster, &proxy.url()).await?;
        let scenario = async {
            let names = (0..count).map(|index| format!("faulty-{index}"));
            let tenants: Vec<Tenant> = names.map(Tenant::new).collect();
            try_join_all(tenants.iter().map(|tenant| self.scenario(cluster, tenant))).await
        };
        let breaks = async {
            loop {
                tokio::time::sleep(BETWEEN_BREAKS).await;
                proxy.streams(Streams::Dropped);
                tokio::time::sleep(Duration::from_millis(50)).await;
                proxy.streams(Streams::Flow);
            }
        };
        tokio::select! {
            done = scenario => done.map(drop)?,
            () = breaks => {}
        }
        let failed = *failures.borrow();
        let restarts = operator.restarts();
        drop(operator);
        cluster.drop_lease().await?;
        Ok(Faults {
            calls: proxy.take_calls().len(),
            failed,
            restarts,
        })
    }

    async fn scenario(&self, cluster: &BareCluster, tenant: &Tenant) -> Result<()> {
        for (phase, expected) in [
            (Phase::Created, &self.created),
            (Phase::Updated, &self.updated),
        ] {
            tenant.ask(cluster, phase).await?;
            self.expect(cluster, tenant, expected, PATIENCE).await?;
        }
        tenant.ask(cluster, Phase::Deleted).await?;
        let what = format!("{} is gone with everything", tenant.name);
        within(PATIENCE, &what, async || {
            let left = cluster.meaning(&tenant.name).await?;
            ensure!(left.is_empty(), "left are {:?}", left.keys());
            Ok(())
        })
        .await
    }

    async fn expect(
        &self,
        cluster: &BareCluster,
        tenant: &Tenant,
        expected: &Snapshot,
        patience: Duration,
    ) -> Result<()> {
        let what = format!("{} equals a healthy one", tenant.name);
        within(patience, &what, async || {
            let found = cluster.meaning(&tenant.name).await?;
            let lines = difference(expected, &found);
            ensure!(lines.is_empty(), "{}", excerpt(&lines));
            Ok(())
        })
        .await
    }

    /// All watches stand still without an end, and meanwhile something is
    /// changed. Returns how long it took until that was done.
    pub async fn with_frozen_watches(&self, cluster: &BareCluster) -> Result<Duration> {
        // A watch may stand still for its own timeout, which is below five minutes.
        const PATIENCE: Duration = Duration::from_secs(6 * 60);
        let tenant = Tenant::new("frozen");
        let proxy = ApiProxy::start(&cluster.config).await?;
        let operator = KeptOperator::start(cluster, &proxy.url()).await?;
        tenant.ask(cluster, Phase::Created).await?;
        self.expect(cluster, &tenant, &self.created, PATIENCE)
            .await?;
        proxy.freeze_present_watches();
        let started = Instant::now();
        tenant.ask(cluster, Phase::Updated).await?;
        self.expect(cluster, &tenant, &self.updated, PATIENCE)
            .await?;
        drop(operator);
        cluster.drop_lease().await?;
        Ok(started.elapsed())
    }

    /// Watches break, something is changed, etcd is compacted, and another API
    /// server takes over that remembers nothing. Returns how many watches it
    /// called expired.
    pub async fn with_expired_watches(&self, cluster: &BareCluster) -> Result<usize> {
        let tenant = Tenant::new("expired");
        let proxy = ApiProxy::start(&cluster.config).await?;
        let operator = KeptOperator::start(cluster, &proxy.url()).await?;
        tenant.ask(cluster, Phase::Created).await?;
        self.expect(cluster, &tenant, &self.created, PATIENCE)
            .await?;
        proxy.streams(Streams::Dropped);
        tenant.ask(cluster, Phase::Updated).await?;
        // Every watched type gets a newer version than the watches know.
        advance(cluster).await?;
        compact(&cluster.etcd).await?;
        let successor = ApiServer::beside(cluster).await?;
        proxy.lead_to(&successor.config)?;
        proxy.streams(Streams::Flow);
        self.expect(cluster, &tenant, &self.updated, PATIENCE)
            .await?;
        let expired = proxy.expired_watches();
        ensure!(
            expired > 0,
            "no watch was called expired: nothing is proven"
        );
        drop(operator);
        cluster.drop_lease().await?;
        Ok(expired)
    }

    /// The API server is gone for `outage` while something is changed through
    /// another one. Returns the operator's calls during the outage, by second.
    pub async fn with_outage(&self, cluster: &BareCluster, outage: Duration) -> Result<Vec<usize>> {
        let tenant = Tenant::new("outage");
        let mut server = ApiServer::beside(cluster).await?;
        let proxy = ApiProxy::start(&server.config).await?;
        let operator = KeptOperator::start(cluster, &proxy.url()).await?;
        tenant.ask(cluster, Phase::Created).await?;
        self.expect(cluster, &tenant, &self.created, PATIENCE)
            .await?;
        proxy.take_calls();
        server.kill().await?;
        let started = Instant::now();
        tenant.ask(cluster, Phase::Updated).await?;
        tokio::time::sleep(outage.saturating_sub(started.elapsed())).await;
        let calls = proxy.take_calls();
        server.restart().await?;
        self.expect(cluster, &tenant, &self.updated, PATIENCE)
            .await?;
        drop(operator);
        cluster.drop_lease().await?;
        Ok(by_second(&calls, started, outage))
    }
}

fn by_second(calls: &[Call], started: Instant, length: Duration) -> Vec<usize> {
    let seconds = usize::try_from(length.as_secs()).unwrap_or_default();
    let mut counts = vec![0; seconds + 1];
    for call in calls {
        let second = call.at.saturating_duration_since(started).as_secs();
        let second = usize::try_from(second).unwrap_or_default();
        if let Some(count) = counts.get_mut(second) {
            *count += 1;
        }
    }
    counts
}

/// Which calls fail, and how: the same in every run.
struct Chance(u64);

impl Default for Chance {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Chance {
    /// A number below `bound` (xorshift64).
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn treatment(&mut self, call: &Call) -> Treatment {
        if call.is_watch || self.below(10) != 0 {
            return Treatment::Forward;
        }
        match self.below(5) {
            0 => Treatment::Answer(StatusCode::CONFLICT),
            1 => Treatment::Answer(StatusCode::TOO_MANY_REQUESTS),
            2 => Treatment::Answer(StatusCode::INTERNAL_SERVER_ERROR),
            3 => Treatment::TimeOutAfterSuccess,
            _ => Treatment::BreakAfterSuccess,
        }
    }
}

/// Writes something, so that etcd's revision is newer than what any watch has seen.
async fn advance(cluster: &BareCluster) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.admin.clone(), "default");
    for _ in 0..20 {
        let map = ConfigMap {
            metadata: ObjectMeta {
                generate_name: Some("advance-".to_owned()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        };
        let made = maps.create(&PostParams::default(), &map).await?;
        let name = made.metadata.name.context("no name")?;
        maps.delete(&name, &Default::default()).await?;
    }
    Ok(())
}

/// Makes etcd forget every revision but the present one (`etcdctl compact`).
async fn compact(etcd: &str) -> Result<()> {
    let etcd = Client::new(etcd);
    let call = async |path: &str, body: Value| {
        let headers = [("content-type", "application/json")];
        let answer = etcd
            .send(http::Method::POST, path, &headers, body.to_string())
            .await?;
        ensure!(answer.status == 200, "etcd says {}", answer.status);
        answer.json()
    };
    // The key is a zero byte: what is asked for does not matter, the header does.
    let range = call("/v3/kv/range", json!({"key": "AA=="})).await?;
    let revision = range["header"]["revision"].clone();
    call(
        "/v3/kv/compaction",
        json!({"revision": revision, "physical": true}),
    )
    .await
    .map(drop)
}
