//! Which buckets a request takes from, and what happens without Redis.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use agentapi_crds::tenant_config::{RateConfig, RateLimitsConfig, RequestClass};
use aws_lc_rs::digest;
use uuid::Uuid;

use super::{Level, Rate};
use crate::cache::{Bucket, Cache, MemoryCache, Taken};
use crate::store::TenantId;
use crate::tenants::Tenant;

/// How long a request waits for the cache before it is decided here.
const CACHE_TIMEOUT: Duration = Duration::from_millis(300);

/// How long the cache is left alone after it failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What a request is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may go on.
    pub allowed: bool,
    /// Requests that may come at once (`RateLimit-Limit`).
    pub limit: u32,
    /// How many may still come now (`RateLimit-Remaining`).
    pub remaining: u32,
    /// Until all of them may come again (`RateLimit-Reset`).
    pub reset_after: Duration,
    /// Until it is worth trying again (`Retry-After`); where it was refused.
    pub retry_after: Option<Duration>,
}

/// Limits requests by user and class, and by organization.
///
/// The cache decides for all replicas. While it is away, each replica decides by
/// itself, so that requests go on: limits then hold for each replica. The cache
/// is tried again every second, by one request.
pub struct Limiter {
    cache: Arc<dyn Cache>,
    local: MemoryCache,
    /// While the cache is away: when it is tried next.
    next_try: Mutex<Option<Instant>>,
}

impl Limiter {
    /// A limiter on a cache.
    pub fn new(cache: Arc<dyn Cache>) -> Self {
        Self {
            cache,
            local: MemoryCache::default(),
            next_try: Mutex::new(None),
        }
    }

    /// Counts a request of a user, unless it is refused.
    pub async fn check(&self, tenant: &Tenant, user: &str, class: RequestClass) -> Decision {
        self.check_limits(tenant.id, &tenant.config.rate_limits, user, class)
            .await
    }

    /// Whether limits are those of this replica alone, because the cache is away.
    pub fn is_degraded(&self) -> bool {
        self.next_try
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// As [`check`](Limiter::check), by limits that are given.
    pub async fn check_limits(
        &self,
        tenant: TenantId,
        limits: &RateLimitsConfig,
        user: &str,
        class: RequestClass,
    ) -> Decision {
        let taken = self.take(&buckets(tenant.0, limits, user, class)).await;
        decide(&taken)
    }

    async fn take(&self, buckets: &[Bucket]) -> Taken {
        if self.cache_may_be_asked() {
            match tokio::time::timeout(CACHE_TIMEOUT, self.cache.take(buckets)).await {
                Ok(Ok(taken)) => {
                    self.cache_answered();
                    return taken;
                }
                Ok(Err(error)) => self.cache_failed(&error.to_string()),
                Err(_) => self.cache_failed("no answer in time"),
            }
        }
        self.local.take_now(buckets)
    }

    /// True while the cache answers; while it is away, true for one request a pause.
    fn cache_may_be_asked(&self) -> bool {
        let mut next_try = self.next_try.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match *next_try {
            None => true,
            Some(at) if now >= at => {
                *next_try = Some(now + PAUSE);
                true
            }
            Some(_) => false,
        }
    }

    fn cache_answered(&self) {
        let was_away = self
            .next_try
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .is_some();
        if was_away {
            tracing::info!("the cache answers again: limits hold across replicas");
        }
    }

    fn cache_failed(&self, error: &str) {
        let mut next_try = self.next_try.lock().unwrap_or_else(PoisonError::into_inner);
        if next_try.replace(Instant::now() + PAUSE).is_none() {
            tracing::warn!(
                error,
                "the cache is away: limits hold for each replica alone"
            );
        }
    }
}

/// The user's bucket for the class, and the organization's if it has one.
fn buckets(
    tenant: Uuid,
    limits: &RateLimitsConfig,
    user: &str,
    class: RequestClass,
) -> Vec<Bucket> {
    let of_user = limits.overrides.get(&class).unwrap_or(&limits.per_user);
    // Hashed: ids of users may be long and personal. The braces keep an
    // organization's buckets on one node of a Redis cluster.
    let user = digest::digest(&digest::SHA256, user.as_bytes());
    let user = hex::encode(&user.as_ref()[..16]);
    let mut buckets = vec![Bucket {
        key: format!("agentapi:rate:{{{tenant}}}:{}:{user}", class_name(class)),
        rate: rate(of_user),
    }];
    buckets.extend(limits.organization.as_ref().map(|limit| Bucket {
        key: format!("agentapi:rate:{{{tenant}}}"),
        rate: rate(limit),
    }));
    buckets
}

/// What the tightest bucket says: the one to wait for longest, else the one with least left.
fn decide(taken: &Taken) -> Decision {
    let tightest = taken
        .levels
        .iter()
        .copied()
        .max_by_key(|level| {
            (
                level.retry_after * u32::from(!taken.allowed),
                std::cmp::Reverse(level.remaining),
            )
        })
        .unwrap_or(Level {
            limit: 0,
            remaining: 0,
            reset_after: Duration::ZERO,
            retry_after: Duration::ZERO,
        });
    Decision {
        allowed: taken.allowed,
        limit: tightest.limit,
        remaining: tightest.remaining,
        reset_after: tightest.reset_after,
        retry_after: (!taken.allowed).then_some(tightest.retry_after),
    }
}

fn rate(config: &RateConfig) -> Rate {
    Rate::new(config.requests_per_minute, config.burst)
}

fn class_name(class: RequestClass) -> &'static str {
    match class {
        RequestClass::Api => "api",
        RequestClass::Mcp => "mcp",
        RequestClass::Models => "models",
    }
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
