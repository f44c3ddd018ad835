//! Who is limited by what, with a cache and without.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::*;
use crate::cache::CacheError;

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

fn limiter() -> Limiter {
    Limiter::new(Arc::new(MemoryCache::default()))
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
async fn without_the_cache_requests_go_on_under_the_replicas_own_limit() {
    let cache = Arc::new(Unsteady::default());
    cache.away.store(true, Ordering::SeqCst);
    let limiter = Limiter::new(cache);
    assert_eq!(passed(&limiter, ACME, "alice", RequestClass::Api).await, 3);
    assert!(limiter.is_degraded());
}

#[tokio::test]
async fn the_cache_is_used_again_once_it_answers() {
    let cache = Arc::new(Unsteady::default());
    cache.away.store(true, Ordering::SeqCst);
    let limiter = Limiter::new(cache.clone());
    passed(&limiter, ACME, "alice", RequestClass::Api).await;
    cache.away.store(false, Ordering::SeqCst);
    *limiter.next_try.lock().expect("no panic") = Some(Instant::now());
    assert_eq!(passed(&limiter, ACME, "alice", RequestClass::Api).await, 3);
    assert!(!limiter.is_degraded());
}
