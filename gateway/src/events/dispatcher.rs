//! Looks for events that are due, and has each sink served by one task at a time.
//!
//! A sink that is slow or down holds up nobody but itself, and an organization with
//! many of them no other organization: both have a bounded number of tasks.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::attempt::{attempt, without_sink};
use crate::domain::events::Retries;
use crate::store::{Delivery, Settlement, Store, StoreError, TenantId};
use crate::telemetry::{Metrics, chain};
use crate::tenants::{Tenant, Tenants};
use crate::upstream::EventSink;

/// How often there is a look for what is due, while an organization has a sink.
const EVERY: Duration = Duration::from_secs(1);
/// How often there is a look while none has: for what is left of sinks that are gone.
const SELDOM: Duration = Duration::from_secs(60);
/// Events of one sink that are under way at one time.
const BATCH: u32 = 8;
/// After which what was taken counts as abandoned. Longer than any attempt.
const PATIENCE: Duration = Duration::from_secs(60);
/// Sinks that this process serves at one time.
const MOST_SINKS: usize = 64;
/// Of these, of one organization.
const MOST_SINKS_OF_TENANT: usize = 4;
/// How long attempts under way may take at shutdown; the rest is done by others.
const GRACE: Duration = Duration::from_secs(5);

/// A sink, by its organization and name.
type Key = (TenantId, String);

/// Delivers events. Any number of replicas may.
#[derive(Clone)]
pub struct Dispatcher {
    store: Arc<dyn Store>,
    tenants: Tenants,
    retries: Retries,
    metrics: Metrics,
}

impl Dispatcher {
    /// A dispatcher that has done nothing yet.
    pub fn new(
        store: Arc<dyn Store>,
        tenants: Tenants,
        retries: Retries,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            tenants,
            retries,
            metrics,
        }
    }

    /// Delivers until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut busy: HashSet<Key> = HashSet::new();
        let mut tasks: JoinSet<Key> = JoinSet::new();
        let mut looked = Instant::now();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = tasks.join_next() => match done {
                    Ok(key) => drop(busy.remove(&key)),
                    // Whose it was is not known any more, so nobody is kept out.
                    Err(error) => {
                        tracing::error!(%error, "a task that delivers events failed");
                        busy.clear();
                    }
                },
                _ = ticks.tick() => {
                    if !self.tenants.have_event_sinks() && looked.elapsed() < SELDOM {
                        continue;
                    }
                    looked = Instant::now();
                    for key in self.due(&busy).await {
                        busy.insert(key.clone());
                        let (dispatcher, stop) = (self.clone(), stop.clone());
                        tasks.spawn(async move {
                            dispatcher.serve(&key, &stop).await;
                            key
                        });
                    }
                }
            }
        }
        let finished = timeout(GRACE, async { while tasks.join_next().await.is_some() {} }).await;
        if finished.is_err() {
            tracing::info!("events under way are left to other replicas");
        }
    }

    /// The sinks to begin with now.
    async fn due(&self, busy: &HashSet<Key>) -> Vec<Key> {
        let due = match self.store.due_sinks().await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(error = chain(&error), "events cannot be looked for now");
                return Vec::new();
            }
        };
        let mut chosen: Vec<Key> = Vec::new();
        for key in due.into_iter().filter(|key| !busy.contains(key)) {
            let of_tenant = |other: &&Key| other.0 == key.0;
            let theirs =
                busy.iter().filter(of_tenant).count() + chosen.iter().filter(of_tenant).count();
            if busy.len() + chosen.len() < MOST_SINKS && theirs < MOST_SINKS_OF_TENANT {
                chosen.push(key);
            }
        }
        chosen
    }

    /// Delivers what is due for one sink until nothing is, or nothing gets through.
    async fn serve(&self, (id, name): &Key, stop: &CancellationToken) {
        // What waits for an organization that is suspended waits until it is not.
        let Some(tenant) = self
            .tenants
            .by_id(*id)
            .filter(|tenant| !tenant.config.suspended)
        else {
            return;
        };
        while !stop.is_cancelled() {
            match self.turn(&tenant, name).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "events cannot be delivered now");
                    return;
                }
            }
        }
    }

    /// One batch; whether another may follow at once.
    async fn turn(&self, tenant: &Tenant, name: &str) -> Result<bool, StoreError> {
        let taken = self
            .store
            .take_deliveries(tenant.id, name, PATIENCE, BATCH)
            .await?;
        let sink = tenant.event_sinks.iter().find(|sink| &*sink.name == name);
        let sink = sink.map(Arc::as_ref);
        let delivered = join_all(
            taken
                .iter()
                .map(|event| self.deliver(tenant.id, sink, event)),
        );
        let delivered: Result<Vec<bool>, StoreError> = delivered.await.into_iter().collect();
        Ok(delivered?.contains(&true))
    }

    /// One event; whether its receiver has it.
    async fn deliver(
        &self,
        tenant: TenantId,
        sink: Option<&EventSink>,
        event: &Delivery,
    ) -> Result<bool, StoreError> {
        let settlement = match sink {
            Some(sink) => attempt(sink, event, &self.retries).await,
            None => without_sink(event),
        };
        self.metrics.event(match &settlement {
            Settlement::Delivered => "delivered",
            Settlement::Again { .. } => "failed",
            Settlement::Dead { .. } => "dead",
        });
        if let Settlement::Again { error, .. } | Settlement::Dead { error } = &settlement {
            tracing::info!(event = %event.id, attempts = event.attempts, error, "an event was not delivered");
        }
        let settled = self
            .store
            .settle_delivery(tenant, event.id, event.attempts, &settlement);
        if !settled.await? {
            tracing::warn!(event = %event.id, "an event took longer than others wait: it may have been sent twice");
        }
        Ok(settlement == Settlement::Delivered)
    }
}
