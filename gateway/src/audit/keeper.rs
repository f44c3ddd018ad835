//! The task that keeps the record: writers' lives, checkpoints, retention.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Anchors, Ledger, checkpoint, retention};
use crate::domain::audit::Signer;
use crate::store::{AuditKeepingStore, StoreError, TenantId};
use crate::telemetry::{Metrics, chain};

/// What keeping needs.
pub struct Keeping {
    /// Signs checkpoints; without it there are none, and nothing is ever removed.
    pub signer: Option<Arc<Signer>>,
    /// Where the last checkpoints are kept besides the database.
    pub anchors: Arc<dyn Anchors>,
    /// How often chains that have grown are stated; also how often a writer says that it lives.
    pub interval: Duration,
    /// How long a writer may be silent before it counts as dead; several intervals.
    pub silence: Duration,
    /// How often partitions are made ahead and expired ones removed.
    pub retention_interval: Duration,
    /// Counts what dead writers may have lost.
    pub metrics: Metrics,
}

/// Keeps the record while the process runs. Any number of processes may keep it
/// at once. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Keeper {
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Keeper {
    /// Starts keeping.
    pub fn start(store: Arc<dyn AuditKeepingStore>, ledger: Ledger, keeping: Keeping) -> Self {
        let closing = CancellationToken::new();
        let tasks = TaskTracker::new();
        let rounds = Rounds {
            store,
            ledger,
            keeping,
            unstated: BTreeSet::new(),
        };
        tasks.spawn(rounds.run(closing.clone()));
        tasks.close();
        Self { closing, tasks }
    }

    /// Closes this process's writers, states their ends and stops. To be called
    /// once the recorder is closed.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.wait().await;
    }
}

struct Rounds {
    store: Arc<dyn AuditKeepingStore>,
    ledger: Ledger,
    keeping: Keeping,
    /// Organizations whose last checkpoint failed.
    unstated: BTreeSet<TenantId>,
}

impl Rounds {
    async fn run(mut self, closing: CancellationToken) {
        let start = Instant::now() + self.keeping.interval;
        let mut rounds = tokio::time::interval_at(start, self.keeping.interval);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut retained = Instant::now();
        self.retention().await;
        loop {
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                _ = rounds.tick() => self.round().await,
            }
            if retained.elapsed() >= self.keeping.retention_interval {
                retained = Instant::now();
                self.retention().await;
            }
        }
        self.ledger.all_retired();
        self.round().await;
    }

    /// Each step logs its failure, and the next round tries again.
    async fn round(&mut self) {
        log("the audit writers were not renewed", self.renew().await);
        log("audit writers were not closed", self.close_retired().await);
        log(
            "dead audit writers were not closed",
            self.close_dead().await,
        );
        log("audit checkpoints were not made", self.state().await);
    }

    async fn renew(&self) -> Result<(), StoreError> {
        let open = self.ledger.open();
        match open.is_empty() {
            true => Ok(()),
            false => self.store.renew_writers(&open).await,
        }
    }

    async fn close_retired(&self) -> Result<(), StoreError> {
        for writer in self.ledger.to_close() {
            self.store.close_writer(writer).await?;
            self.ledger.closed(writer);
        }
        Ok(())
    }

    async fn close_dead(&self) -> Result<(), StoreError> {
        let silence = SignedDuration::try_from(self.keeping.silence).unwrap_or(SignedDuration::MAX);
        let seen = Timestamp::now()
            .checked_sub(silence)
            .unwrap_or(Timestamp::MIN);
        for dead in self.store.close_dead_writers(seen).await? {
            let (writer, may_lack) = (dead.id.0, dead.may_lack);
            tracing::warn!(%writer, may_lack, "closed the audit chains of a writer that died");
            self.keeping.metrics.audit_may_lack(u64::from(may_lack));
        }
        Ok(())
    }

    /// States the chains that have grown here, and those that were closed anywhere.
    async fn state(&mut self) -> Result<(), StoreError> {
        self.unstated.extend(self.ledger.take_grown());
        let Some(signer) = &self.keeping.signer else {
            self.unstated.clear();
            return Ok(());
        };
        self.unstated.extend(self.store.tenants_to_state().await?);
        let anchors = &*self.keeping.anchors;
        for tenant in std::mem::take(&mut self.unstated) {
            // One organization's failure is not another's.
            if let Err(error) = checkpoint(&*self.store, signer, anchors, tenant, None).await {
                tracing::warn!(tenant = %tenant.0, error = chain(&error), "an audit checkpoint was not made; trying again later");
                self.unstated.insert(tenant);
            }
        }
        Ok(())
    }

    async fn retention(&self) {
        let (store, anchors) = (&*self.store, &*self.keeping.anchors);
        let now = Timestamp::now();
        log(
            "audit partitions were not made ahead",
            store.add_partitions(now).await,
        );
        if let Some(signer) = &self.keeping.signer {
            let done = retention::remove_expired(store, signer, anchors, now).await;
            log("expired audit records were not looked for", done);
        }
    }
}

fn log(what: &'static str, done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::warn!(error = chain(&error), "{what}; trying again later");
    }
}
