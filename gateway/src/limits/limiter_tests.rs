//! Who is limited by what, with a cache and without.

use std::sync::atomic::{AtomicBool, Ordering};

use std::sync::Arc;

use async_trait::async_trait;

use agentapi_crds::tenant_config::TenantConfig;

use super::*;
use crate::cache::{Cache, CacheError, MemoryCache};
use crate::telemetry::Metrics;
use crate::tenants::compile;
use crate::tenants::test_config::{config, environment};

const ACME: TenantId = TenantId(Uuid::from_u128(1));
const GLOBEX: TenantId = TenantId(Uuid::from_u128(2));

/// A cache that can be taken away.
#[derive(Default)]
struct Unsteady {
    memory: MemoryCache,
    away: AtomicBool,
}

#[async_trait]
impl Cache for Unsteady {
    async fn take(&self, buckets: &[Bucket]) -> Result<Taken, CacheError> {
        self.ping().await?;
        Ok(self.memory.take_now(buckets))
    }

    async fn take_times(&self, buckets: &[Bucket], times: usize) -> Result<Vec<Taken>, CacheError> {
        self.ping().await?;
        self.memory.take_times(buckets, times).await
    }

    async fn announce(&self, _: Uuid) -> Result<u32, CacheError> {
        self.ping().await?;
        Ok(2)
    }

    async fn get(&self, key: &str) -> Result<Option<String>, CacheError> {
        self.memory.get(key).await
    }

    async fn set(&self, key: &str, value: &str, lifetime: Duration) -> Result<(), CacheError> {
        self.memory.set(key, value, lifetime).await
    }

    async fn remove(&self, key: &str) -> Result<(), CacheError> {
        self.memory.remove(key).await
    }

    async fn ping(&self) -> Result<(), CacheError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(CacheError::Unavailable(
                std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into(),
            ));
        }
        Ok(())
    }
}

fn limits() -> RateLimitsConfig {
    RateLimitsConfig {
        per_user: RateConfig {
            requests_per_minute: 1,
            burst: 3,
        },
        overrides: [(
            RequestClass::Mcp,
            RateConfig {
                requests_per_minute: 1,
                burst: 5,
            },
        )]
        .into(),
        organization: Some(RateConfig {
            requests_per_minute: 1,
            burst: 7,
        }),
    }
}

fn shared(cache: Arc<dyn Cache>) -> Shared {
    Shared::new(cache, 1, Metrics::new())
}

fn limiter() -> Limiter {
    Limiter::new(shared(Arc::new(MemoryCache::default())))
}

/// How many of 20 requests pass.
async fn passed(limiter: &Limiter, tenant: TenantId, user: &str, class: RequestClass) -> usize {
    let mut passed = 0;
    for _ in 0..20 {
        passed += usize::from(
            limiter
                .check_limits(tenant, &limits(), user, class)
                .await
                .allowed,
        );
    }
    passed
}

#[tokio::test]
async fn a_user_may_send_a_burst_of_each_class() {
    let limiter = limiter();
    assert_eq!(passed(&limiter, ACME, "alice", RequestClass::Api).await, 3);
    assert_eq!(
        passed(&limiter, ACME, "alice", RequestClass::Models).await,
        3
    );
}

#[tokio::test]
async fn a_class_may_have_its_own_rate() {
    assert_eq!(
        passed(&limiter(), ACME, "alice", RequestClass::Mcp).await,
        5
    );
}

#[tokio::test]
async fn all_users_together_stay_under_the_organizations_ceiling() {
    let limiter = limiter();
    let mut together = 0;
    for user in ["alice", "bob", "carol", "dave"] {
        together += passed(&limiter, ACME, user, RequestClass::Api).await;
    }
    assert_eq!(together, 7);
}

#[tokio::test]
async fn a_refused_request_takes_nothing_from_the_organization() {
    let limiter = limiter();
    passed(&limiter, ACME, "alice", RequestClass::Api).await;
    assert_eq!(passed(&limiter, ACME, "bob", RequestClass::Api).await, 3);
}

#[tokio::test]
async fn one_organizations_requests_limit_no_other() {
    let limiter = limiter();
    passed(&limiter, ACME, "alice", RequestClass::Mcp).await;
    passed(&limiter, ACME, "bob", RequestClass::Mcp).await;
    assert_eq!(
        passed(&limiter, GLOBEX, "alice", RequestClass::Mcp).await,
        5
    );
}

#[tokio::test]
async fn the_decision_tells_what_is_left_and_when_to_come_back() {
    let limiter = limiter();
    let first = limiter
        .check_limits(ACME, &limits(), "alice", RequestClass::Api)
        .await;
    assert_eq!(
        (
            first.allowed,
            first.limit,
            first.remaining,
            first.retry_after
        ),
        (true, 3, 2, None)
    );
    passed(&limiter, ACME, "alice", RequestClass::Api).await;
    let refused = limiter
        .check_limits(ACME, &limits(), "alice", RequestClass::Api)
        .await;
    assert_eq!((refused.allowed, refused.remaining), (false, 0));
    let wait = refused
        .retry_after
        .expect("a refused request is told when to come back");
    assert!(
        wait > Duration::from_secs(50) && wait <= Duration::from_secs(60),
        "{wait:?}"
    );
}

#[tokio::test]
async fn without_the_cache_requests_go_on_under_this_replicas_part_of_the_limit() {
    let cache = Arc::new(Unsteady::default());
    let shared = shared(cache.clone());
    let limiter = Limiter::new(shared.clone());
    shared.announce().await;
    cache.away.store(true, Ordering::SeqCst);
    // Three at once, and two replicas: one each. Five of the other class: two each.
    assert_eq!(passed(&limiter, ACME, "alice", RequestClass::Api).await, 1);
    assert_eq!(passed(&limiter, ACME, "alice", RequestClass::Mcp).await, 2);
    assert!(shared.is_degraded());
}

#[tokio::test]
async fn the_cache_is_used_again_once_it_answers() {
    let cache = Arc::new(Unsteady::default());
    let shared = shared(cache.clone());
    let limiter = Limiter::new(shared.clone());
    cache.away.store(true, Ordering::SeqCst);
    passed(&limiter, ACME, "alice", RequestClass::Api).await;
    cache.away.store(false, Ordering::SeqCst);
    passed(&limiter, ACME, "bob", RequestClass::Api).await;
    assert!(shared.is_degraded(), "a request found out for itself");
    shared.announce().await;
    assert!(!shared.is_degraded());
    assert_eq!(passed(&limiter, ACME, "alice", RequestClass::Api).await, 3);
}

#[tokio::test]
async fn a_cache_that_hangs_makes_one_request_wait_and_no_further_one() {
    let shared = shared(Arc::new(Hanging));
    let limiter = Limiter::new(shared.clone());
    limiter
        .check_limits(ACME, &limits(), "alice", RequestClass::Api)
        .await;
    let limits = limits();
    let next = limiter.check_limits(ACME, &limits, "bob", RequestClass::Api);
    assert!(
        futures::FutureExt::now_or_never(next).is_some(),
        "a second request waits"
    );
}

/// A cache that never answers.
struct Hanging;

#[async_trait]
impl Cache for Hanging {
    async fn take(&self, _: &[Bucket]) -> Result<Taken, CacheError> {
        std::future::pending().await
    }

    async fn take_times(&self, _: &[Bucket], _: usize) -> Result<Vec<Taken>, CacheError> {
        std::future::pending().await
    }

    async fn announce(&self, _: Uuid) -> Result<u32, CacheError> {
        std::future::pending().await
    }

    async fn get(&self, _: &str) -> Result<Option<String>, CacheError> {
        std::future::pending().await
    }

    async fn set(&self, _: &str, _: &str, _: Duration) -> Result<(), CacheError> {
        std::future::pending().await
    }

    async fn remove(&self, _: &str) -> Result<(), CacheError> {
        std::future::pending().await
    }

    async fn ping(&self) -> Result<(), CacheError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn several_at_once_count_as_several_and_tell_of_the_first_refused() {
    let limiter = limiter();
    let config = TenantConfig {
        rate_limits: limits(),
        ..config("acme")
    };
    let tenant = compile(config, None, &environment(None)).unwrap();
    let three = limiter.check_times(&tenant, "alice", RequestClass::Api, 3);
    assert!(three.await.allowed);
    let four = limiter
        .check_times(&tenant, "bob", RequestClass::Api, 4)
        .await;
    assert_eq!((four.allowed, four.remaining), (false, 0));
    assert!(four.retry_after.is_some());
}
