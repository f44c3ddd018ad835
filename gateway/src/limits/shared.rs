//! Buckets that all replicas share, and what happens while they cannot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cache::{Bucket, Cache, CacheError, MemoryCache, Taken};
use crate::telemetry::{Metrics, chain};

/// How long a request waits for the cache before it is decided here.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often this replica says that it lives, and looks whether the cache is back.
const EVERY: Duration = Duration::from_secs(1);

/// Buckets in the cache, which decides for all replicas.
///
/// When the cache does not answer in time, this replica decides alone, at once and
/// for all requests, until the cache answers [`watch`](Shared::watch): no request
/// finds out for itself. Each replica then grants its part of every limit, by the
/// number of replicas that lived when the cache was last asked. Buckets here begin
/// full, so that an outage may grant one more burst, and never less than one
/// request at a time. Cloning is cheap.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    cache: Arc<dyn Cache>,
    local: MemoryCache,
    /// This replica's name among the living.
    replica: Uuid,
    replicas: AtomicU32,
    away: AtomicBool,
    metrics: Metrics,
}

impl Shared {
    /// Buckets in a cache. `replicas` is how many share it, until it has told.
    pub fn new(cache: Arc<dyn Cache>, replicas: u32, metrics: Metrics) -> Self {
        Self(Arc::new(Inner {
            cache,
            local: MemoryCache::default(),
            replica: Uuid::new_v4(),
            replicas: AtomicU32::new(replicas.max(1)),
            away: AtomicBool::new(false),
            metrics,
        }))
    }

    /// Whether this replica decides alone, because the cache is away.
    pub fn is_degraded(&self) -> bool {
        self.0.away.load(Ordering::Relaxed)
    }

    /// How many replicas shared the cache when it was last asked; at least one.
    pub fn replicas(&self) -> u32 {
        self.0.replicas.load(Ordering::Relaxed)
    }

    /// As [`Cache::take`], which cannot fail here.
    pub(super) async fn take(&self, buckets: &[Bucket]) -> Taken {
        match self.ask(self.0.cache.take(buckets)).await {
            Some(taken) => taken,
            None => self.0.local.take_now(&self.own_part(buckets)),
        }
    }

    /// As [`Cache::take_times`], which cannot fail here.
    pub(super) async fn take_times(&self, buckets: &[Bucket], times: usize) -> Vec<Taken> {
        match self.ask(self.0.cache.take_times(buckets, times)).await {
            Some(taken) => taken,
            None => {
                let part = self.own_part(buckets);
                (0..times).map(|_| self.0.local.take_now(&part)).collect()
            }
        }
    }

    /// Says again and again that this replica lives, until `stop`: so it learns how
    /// many others do, and when the cache is back.
    pub async fn watch(self, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watching = async {
            loop {
                ticks.tick().await;
                self.announce().await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = watching => {}
        }
    }

    /// Says once that this replica lives.
    pub async fn announce(&self) {
        let inner = &self.0;
        match timeout(PATIENCE, inner.cache.announce(inner.replica)).await {
            Ok(Ok(replicas)) => {
                inner.replicas.store(replicas.max(1), Ordering::Relaxed);
                self.answered();
            }
            Ok(Err(error)) => self.failed(&chain(&error)),
            Err(_) => self.failed("no answer in time"),
        }
    }

    /// The cache's answer; nothing while it is away.
    async fn ask<T>(&self, question: impl Future<Output = Result<T, CacheError>>) -> Option<T> {
        if self.is_degraded() {
            self.0.metrics.limited_locally();
            return None;
        }
        match timeout(PATIENCE, question).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => self.failed(&chain(&error)),
            Err(_) => self.failed("no answer in time"),
        }
        self.0.metrics.limited_locally();
        None
    }

    fn own_part(&self, buckets: &[Bucket]) -> Vec<Bucket> {
        let replicas = self.replicas();
        let part = |bucket: &Bucket| Bucket {
            key: bucket.key.clone(),
            rate: bucket.rate.part(replicas),
        };
        buckets.iter().map(part).collect()
    }

    fn answered(&self) {
        if self.0.away.swap(false, Ordering::Relaxed) {
            self.0.metrics.cache_away(false);
            tracing::info!("the cache answers again: limits hold across replicas");
        }
    }

    fn failed(&self, error: &str) {
        if !self.0.away.swap(true, Ordering::Relaxed) {
            self.0.metrics.cache_away(true);
            let replicas = self.replicas();
            tracing::warn!(
                error,
                replicas,
                "the cache is away: each replica grants its part of every limit"
            );
        }
    }
}
