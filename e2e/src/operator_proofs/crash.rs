//! The operator killed at its N-th write, in three places, and started again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::join;

use super::tenant::{Phase, Tenant};
use crate::bare_cluster::{ApiProxy, BareCluster, Operator, Snapshot, Treatment};

/// Longest wait for a reply to have been read, after it was sent.
const READ: Duration = Duration::from_millis(100);

/// Where in a write the operator dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before the API server sees it.
    BeforeForward,
    /// After the API server has acted, before the operator knows.
    AfterCommit,
    /// After the operator has its answer.
    AfterReply,
}

impl Place {
    /// All places.
    pub const ALL: [Self; 3] = [Self::BeforeForward, Self::AfterCommit, Self::AfterReply];

    fn treatment(self) -> Treatment {
        match self {
            Self::BeforeForward => Treatment::StopBefore,
            Self::AfterCommit => Treatment::StopAfterCommit,
            Self::AfterReply => Treatment::StopAfterReply,
        }
    }
}

/// What a run without crashes came to.
pub struct Clean {
    tenant: Tenant,
    states: BTreeMap<Phase, Snapshot>,
    /// Writes of the whole run.
    pub writes: usize,
}

impl Clean {
    /// Creates, updates and deletes an organization without any crash.
    pub async fn run(cluster: &BareCluster) -> Result<Self> {
        let tenant = Tenant::new("crash");
        let proxy = ApiProxy::start(&cluster.config).await?;
        let mut operator = cluster.operator(&proxy.url()).await?;
        let mut states = BTreeMap::new();
        for phase in Phase::ALL {
            tenant.ask(cluster, phase).await?;
            tenant.wait(cluster, phase).await?;
            states.insert(phase, tenant.settled(cluster).await?);
        }
        let calls = proxy.take_calls();
        let writes = calls.iter().filter(|call| call.is_write()).count();
        operator.kill().await?;
        cluster.drop_lease().await?;
        Ok(Self {
            tenant,
            states,
            writes,
        })
    }

    /// The same with a crash at the `n`-th write (from 1). Fails where any
    /// state differs from the clean run's; tells whether there was an `n`-th write.
    pub async fn with_crash(&self, cluster: &BareCluster, n: usize, place: Place) -> Result<bool> {
        let proxy = ApiProxy::start(&cluster.config).await?;
        let mut writes = 0;
        proxy.rule(move |call| {
            writes += usize::from(call.is_write());
            if call.is_write() && writes == n {
                place.treatment()
            } else {
                Treatment::Forward
            }
        });
        let mut operator = cluster.operator(&proxy.url()).await?;
        let crashed = AtomicBool::new(false);
        let finished = AtomicBool::new(false);
        let crash = async {
            proxy.stopped().await;
            if finished.load(Ordering::Relaxed) {
                return Ok(());
            }
            // An answer that was sent needs a moment to be read.
            tokio::time::sleep(READ).await;
            operator.kill().await?;
            crashed.store(true, Ordering::Relaxed);
            cluster.drop_lease().await?;
            proxy.resume();
            operator = cluster.operator(&proxy.url()).await?;
            Ok::<_, anyhow::Error>(())
        };
        let scenario = async {
            let result = self.scenario(cluster).await;
            // Ends the wait for a crash that never came.
            finished.store(true, Ordering::Relaxed);
            proxy.stop_waiting();
            result
        };
        let (crash, scenario) = join(crash, scenario).await;
        let at = || format!("killed at write {n}, {place:?}");
        scenario.with_context(at)?;
        crash.with_context(at)?;
        end(operator, cluster).await?;
        Ok(crashed.load(Ordering::Relaxed))
    }

    /// One operator after the other, each killed as soon as the API server has
    /// acted on its first write: the state moves on one write at a time.
    /// Returns how many operators it took.
    pub async fn one_write_at_a_time(&self, cluster: &BareCluster) -> Result<usize> {
        let proxy = ApiProxy::start(&cluster.config).await?;
        let mut lives = 0;
        let mut scenario = Box::pin(self.scenario(cluster));
        loop {
            lives += 1;
            ensure!(
                lives <= 4 * self.writes,
                "{lives} operators and still not done: no progress"
            );
            proxy.rule(|call| {
                if call.is_write() {
                    Treatment::StopAfterCommit
                } else {
                    Treatment::Forward
                }
            });
            let mut operator = cluster.operator(&proxy.url()).await?;
            let done = tokio::select! {
                done = &mut scenario => Some(done),
                () = proxy.stopped() => None,
            };
            operator.kill().await?;
            cluster.drop_lease().await?;
            proxy.resume();
            if let Some(done) = done {
                done.with_context(|| format!("after {lives} operators"))?;
                return Ok(lives);
            }
        }
    }

    async fn scenario(&self, cluster: &BareCluster) -> Result<()> {
        for phase in Phase::ALL {
            self.tenant.ask(cluster, phase).await?;
            let Some(expected) = self.states.get(&phase) else {
                bail!("the clean run has no state {phase:?}");
            };
            self.tenant
                .wait_until_equal(cluster, phase, expected)
                .await?;
        }
        Ok(())
    }
}

async fn end(mut operator: Operator, cluster: &BareCluster) -> Result<()> {
    operator.kill().await?;
    cluster.drop_lease().await
}
