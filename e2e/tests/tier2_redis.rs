//! The cache on a real Redis, over its own protocol and over REST: the contract, and
//! what happens when the server forgets or goes away.

use std::sync::Arc;

use agentapi_crds::tenant_config::{RateConfig, RateLimitsConfig, RequestClass};
use agentapi_e2e::cache_contract;
use agentapi_e2e::cache_contract::{Fixture, bucket};
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::peers::{Peer, redis_over_rest};
use agentapi_e2e::redis_server::{own_database, proxied, shared as server};
use agentapi_gateway::cache::{Cache, CacheError, RedisCache};
use agentapi_gateway::domain::audit::Mark;
use agentapi_gateway::limits::{Limiter, Shared};
use agentapi_gateway::store::TenantId;
use agentapi_gateway::telemetry::Metrics;
use anyhow::{Result, ensure};
use futures::future::{join_all, try_join_all};
use url::Url;
use uuid::Uuid;

fn cache(url: &str) -> Result<Arc<dyn Cache>> {
    Ok(Arc::new(RedisCache::open(&url.to_owned().into())?))
}

async fn connection() -> Result<redis::aio::ConnectionManager> {
    Ok(redis::Client::open(server()?.as_str())?
        .get_connection_manager()
        .await?)
}

async fn rest() -> Result<Peer> {
    redis_over_rest(server()?.as_str()).await
}

/// Redis's own protocol.
mod native {
    use super::*;

    async fn fixture() -> Result<Fixture> {
        let url = server()?;
        Ok(Fixture {
            replicas: [cache(url.as_str())?, cache(url.as_str())?],
            server: None,
        })
    }

    cache_contract!(fixture);

    #[tokio::test]
    async fn living_replicas_are_counted() -> Result<()> {
        let url = own_database()?;
        let replicas = [cache(url.as_str())?, cache(url.as_str())?];
        cache_contract::living_replicas_are_counted(replicas).await
    }
}

/// The protocol of REST services.
mod over_rest {
    use super::*;

    async fn fixture() -> Result<Fixture> {
        let server = rest().await?;
        Ok(Fixture {
            replicas: [cache(&server.url)?, cache(&server.url)?],
            server: Some(server),
        })
    }

    cache_contract!(fixture);

    #[tokio::test]
    async fn living_replicas_are_counted() -> Result<()> {
        let server = redis_over_rest(own_database()?.as_str()).await?;
        let replicas = [cache(&server.url)?, cache(&server.url)?];
        cache_contract::living_replicas_are_counted(replicas).await
    }

    #[tokio::test]
    async fn another_token_is_refused() -> Result<()> {
        let server = rest().await?;
        let mut url = Url::parse(&server.url)?;
        ensure!(url.set_password(Some("another")).is_ok());
        let refused = cache(url.as_str())?.ping().await;
        assert!(
            matches!(refused, Err(CacheError::Unavailable(_))),
            "{refused:?}"
        );
        Ok(())
    }

    #[tokio::test]
    async fn it_shares_buckets_with_replicas_that_speak_to_the_server_itself() -> Result<()> {
        let rest = rest().await?;
        let (one, other) = (cache(&rest.url)?, cache(server()?.as_str())?);
        let bucket = [bucket(1, 2)];
        assert!(one.take(&bucket).await?.allowed);
        assert!(other.take(&bucket).await?.allowed);
        assert!(!one.take(&bucket).await?.allowed);
        Ok(())
    }
}

#[tokio::test]
async fn a_bucket_is_forgotten_once_it_is_full_again() -> Result<()> {
    let bucket = bucket(60, 10);
    cache(server()?.as_str())?
        .take(std::slice::from_ref(&bucket))
        .await?;
    let left: i64 = redis::cmd("PTTL")
        .arg(&bucket.key)
        .query_async(&mut connection().await?)
        .await?;
    assert!(
        (1..=1000).contains(&left),
        "the key lives for {left} ms, one request fills in 1000"
    );
    Ok(())
}

#[tokio::test]
async fn a_server_that_forgot_the_script_learns_it_again() -> Result<()> {
    let cache = cache(server()?.as_str())?;
    cache.take(&[bucket(60, 10)]).await?;
    redis::cmd("SCRIPT")
        .arg("FLUSH")
        .query_async::<()>(&mut connection().await?)
        .await?;
    assert!(cache.take(&[bucket(60, 10)]).await?.allowed);
    Ok(())
}

#[tokio::test]
async fn a_cache_opens_while_the_server_is_away_and_works_once_it_is_there() -> Result<()> {
    let (proxy, url) = proxied(server()?).await?;
    proxy.cut();
    let cache = cache(url.as_str())?;
    assert!(
        cache.ping().await.is_err(),
        "an answer came through a cut connection"
    );
    proxy.heal();
    eventually("the cache answers", || async { Ok(cache.ping().await?) }).await
}

/// A replica's limiter, which has said that it lives.
async fn replica(url: &str) -> Result<(Shared, Limiter)> {
    let shared = Shared::new(cache(url)?, 1, Metrics::new());
    shared.announce().await;
    Ok((shared.clone(), Limiter::new(shared)))
}

fn limits(per_user: u32, organization: Option<u32>) -> RateLimitsConfig {
    let rate = |burst| RateConfig {
        requests_per_minute: 1,
        burst,
    };
    RateLimitsConfig {
        per_user: rate(per_user),
        overrides: Default::default(),
        organization: organization.map(rate),
    }
}

/// How many of so many requests of a user pass, one after the other.
async fn passed(
    limiter: &Limiter,
    tenant: TenantId,
    limits: &RateLimitsConfig,
    requests: usize,
) -> usize {
    let mut passed = 0;
    for _ in 0..requests {
        let decision = limiter.check_limits(tenant, limits, "alice", RequestClass::Api);
        passed += usize::from(decision.await.allowed);
    }
    passed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_replicas_grant_not_one_request_too_many() -> Result<()> {
    let url = own_database()?;
    let url = url.as_str();
    let replicas = [
        replica(url).await?,
        replica(url).await?,
        replica(url).await?,
    ];
    let (tenant, limits) = (TenantId(Uuid::new_v4()), limits(50, Some(120)));
    let requests = (0..900).map(|number| {
        let (_, limiter) = &replicas[number % 3];
        let (limiter, limits) = (limiter.clone(), limits.clone());
        let user = format!("user-{}", number / 3 % 4);
        tokio::spawn(async move {
            let decision = limiter
                .check_limits(tenant, &limits, &user, RequestClass::Mcp)
                .await;
            (user, decision.allowed)
        })
    });
    let decided = try_join_all(requests).await?;
    for (shared, _) in &replicas {
        assert!(!shared.is_degraded(), "a replica decided alone");
    }
    let allowed = |name: &str| {
        let of_user = decided
            .iter()
            .filter(|(user, allowed)| *allowed && user == name);
        of_user.count()
    };
    let each = ["user-0", "user-1", "user-2", "user-3"].map(allowed);
    assert!(each.iter().all(|count| *count <= 50), "{each:?}");
    assert_eq!(each.iter().sum::<usize>(), 120, "{each:?}");
    Ok(())
}

#[tokio::test]
async fn replicas_without_the_server_grant_the_limit_together_and_recover() -> Result<()> {
    let (proxy, url) = proxied(own_database()?).await?;
    let url = url.as_str();
    let replicas = [
        replica(url).await?,
        replica(url).await?,
        replica(url).await?,
    ];
    // Each has been told how many there are once all have said so.
    join_all(replicas.iter().map(|(shared, _)| shared.announce())).await;
    let (tenant, limits) = (TenantId(Uuid::new_v4()), limits(9, None));
    assert_eq!(passed(&replicas[0].1, tenant, &limits, 20).await, 9);
    proxy.cut();
    for (shared, limiter) in &replicas {
        assert_eq!(
            (
                passed(limiter, tenant, &limits, 20).await,
                shared.is_degraded()
            ),
            (3, true),
            "a third of nine, alone"
        );
    }
    proxy.heal();
    for (shared, limiter) in &replicas {
        eventually("the replica recovers without a restart", || async {
            shared.announce().await;
            ensure!(!shared.is_degraded(), "still degraded");
            Ok(())
        })
        .await?;
        assert_eq!(
            passed(limiter, tenant, &limits, 1).await,
            0,
            "what was used before the outage was forgotten"
        );
    }
    Ok(())
}

fn mark(number: u64) -> Mark {
    Mark {
        number,
        hash: format!("{number:064x}"),
    }
}

#[tokio::test]
async fn an_anchor_is_raised_and_never_lowered() -> Result<()> {
    anchor_is_raised_and_never_lowered(server()?.as_str()).await
}

#[tokio::test]
async fn an_anchor_over_rest_is_raised_and_never_lowered() -> Result<()> {
    let server = rest().await?;
    anchor_is_raised_and_never_lowered(&server.url).await
}

async fn anchor_is_raised_and_never_lowered(url: &str) -> Result<()> {
    let tenant = TenantId(Uuid::new_v4());
    let anchors = agentapi_gateway::cache::anchors(Some(&url.to_owned().into()))?;
    assert_eq!(anchors.anchor(tenant).await?, None);
    for number in [9, 10, 3] {
        anchors.raise(tenant, &mark(number)).await?;
    }
    let another = agentapi_gateway::cache::anchors(Some(&server()?.to_string().into()))?;
    assert_eq!(
        another.anchor(tenant).await?,
        Some(mark(10)),
        "another replica reads it"
    );
    Ok(())
}

#[tokio::test]
async fn an_anchor_that_cannot_be_read_is_an_error_and_not_absent() -> Result<()> {
    let tenant = TenantId(Uuid::new_v4());
    let (proxy, url) = proxied(server()?).await?;
    let anchors = agentapi_gateway::cache::anchors(Some(&url.to_string().into()))?;
    anchors.raise(tenant, &mark(1)).await?;
    proxy.hold();
    assert!(anchors.anchor(tenant).await.is_err());
    proxy.heal();
    let read = eventually("the anchor is read again", async || {
        Ok(anchors.anchor(tenant).await?)
    });
    assert_eq!(read.await?, Some(mark(1)));
    Ok(())
}
