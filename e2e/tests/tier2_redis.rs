//! The cache on a real Redis: the contract, and what happens when the server forgets or goes away.

use std::sync::Arc;

use agentapi_crds::tenant_config::{RateConfig, RateLimitsConfig, RequestClass};
use agentapi_e2e::cache_contract;
use agentapi_e2e::cache_contract::{Replicas, bucket};
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::program::setting;
use agentapi_e2e::tcp_proxy::TcpProxy;
use agentapi_gateway::cache::{Cache, RedisCache};
use agentapi_gateway::domain::audit::Mark;
use agentapi_gateway::limits::Limiter;
use agentapi_gateway::store::TenantId;
use anyhow::{Context, Result, ensure};
use url::Url;
use uuid::Uuid;

async fn replicas() -> Result<Replicas> {
    Ok([cache(&server()?)?, cache(&server()?)?])
}

fn server() -> Result<Url> {
    Ok(Url::parse(&setting("AGENTAPI_TEST_REDIS_URL")?)?)
}

fn cache(url: &Url) -> Result<Arc<dyn Cache>> {
    Ok(Arc::new(RedisCache::open(&url.to_string().into())?))
}

async fn connection() -> Result<redis::aio::ConnectionManager> {
    Ok(redis::Client::open(server()?.as_str())?
        .get_connection_manager()
        .await?)
}

/// The server behind a proxy, and the URL of the proxy.
async fn proxied() -> Result<(TcpProxy, Url)> {
    let mut url = server()?;
    let target = format!(
        "{}:{}",
        url.host_str().context("the URL has a host")?,
        url.port().unwrap_or(6379)
    );
    let proxy = TcpProxy::start(target).await?;
    url.set_ip_host(proxy.address().ip())
        .ok()
        .context("the URL can have an address")?;
    url.set_port(Some(proxy.address().port()))
        .ok()
        .context("the URL can have a port")?;
    Ok((proxy, url))
}

cache_contract!(replicas);

#[tokio::test]
async fn a_bucket_is_forgotten_once_it_is_full_again() -> Result<()> {
    let bucket = bucket(60, 10);
    cache(&server()?)?
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
    let cache = cache(&server()?)?;
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
    let (proxy, url) = proxied().await?;
    proxy.cut();
    let cache = cache(&url)?;
    assert!(
        cache.ping().await.is_err(),
        "an answer came through a cut connection"
    );
    proxy.heal();
    eventually("the cache answers", || async { Ok(cache.ping().await?) }).await
}

#[tokio::test]
async fn limits_hold_locally_through_an_outage_and_across_replicas_after_it() -> Result<()> {
    let (proxy, url) = proxied().await?;
    let limiter = Limiter::new(cache(&url)?);
    let tenant = TenantId(Uuid::new_v4());
    let limits = RateLimitsConfig {
        per_user: RateConfig {
            requests_per_minute: 1,
            burst: 3,
        },
        overrides: Default::default(),
        organization: None,
    };
    let passed = async |requests: usize| {
        let mut passed = 0;
        for _ in 0..requests {
            let decision = limiter
                .check_limits(tenant, &limits, "alice", RequestClass::Api)
                .await;
            passed += usize::from(decision.allowed);
        }
        passed
    };

    assert_eq!(
        (passed(10).await, limiter.is_degraded()),
        (3, false),
        "with Redis"
    );
    proxy.cut();
    assert_eq!(
        (passed(10).await, limiter.is_degraded()),
        (3, true),
        "without Redis"
    );
    proxy.heal();
    eventually("the limiter recovers without a restart", || async {
        assert_eq!(
            passed(1).await,
            0,
            "what was used before the outage was forgotten"
        );
        ensure!(!limiter.is_degraded(), "still degraded");
        Ok(())
    })
    .await
}

fn mark(number: u64) -> Mark {
    Mark {
        number,
        hash: format!("{number:064x}"),
    }
}

#[tokio::test]
async fn an_anchor_is_raised_and_never_lowered() -> Result<()> {
    let tenant = TenantId(Uuid::new_v4());
    let anchors = agentapi_gateway::cache::anchors(Some(&server()?.to_string().into()))?;
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
    let (proxy, url) = proxied().await?;
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
