//! A whole gateway on real PostgreSQL and Redis, while either is away, hangs and comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentapi_crds::tenant_config::{MIN_READER, SCHEMA_VERSION, SecretReference, TenantConfig};
use agentapi_e2e::client::{Answer, Client};
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::issuer::{AUDIENCE, Issuer};
use agentapi_e2e::postgres::TestDatabase;
use agentapi_e2e::redis_server::{RedisServer, own_database, proxied};
use agentapi_e2e::tcp_proxy::TcpProxy;
use agentapi_gateway::config::Config;
use agentapi_gateway::serve::{Embedding, Gateway};
use agentapi_gateway::store;
use agentapi_gateway::upstream::{SecretError, Secrets};
use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use http::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// Requests that a user may send at once; the next one comes a minute later.
const BURST: usize = 4;

/// A gateway whose database and cache a test can break.
struct Broken {
    client: Client,
    admin: Client,
    issuer: Issuer,
    postgres: TcpProxy,
    _stop: DropGuard,
}

impl Broken {
    async fn start(database: &TestDatabase, redis_url: &str) -> Result<Self> {
        store::migrate(&database.owner_url()).await?;
        let (postgres, database_url) = database.proxied_gateway_url().await?;
        let issuer = Issuer::new("https://issuer.test")?;
        let settings = [
            ("AGENTAPI_LISTEN", "127.0.0.1:0"),
            ("AGENTAPI_ADMIN_LISTEN", "127.0.0.1:0"),
            ("AGENTAPI_DATABASE_URL", database_url.expose_secret()),
            ("AGENTAPI_REDIS_URL", redis_url),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let embedding = Embedding {
            secrets: Arc::new(NoSecrets),
            development: None,
            service_accounts: None,
            processes: false,
        };
        let gateway = Gateway::assemble(Config::read(settings)?, embedding).await?;
        gateway.installer().install(organization(&issuer)?)?;
        gateway.synced().send_replace(true);
        let stop = CancellationToken::new();
        let (ready, addresses) = oneshot::channel();
        let running = gateway.run(stop.clone(), |addresses| {
            // Fails if the test has ended already.
            let _ = ready.send(addresses);
        });
        tokio::spawn(running);
        let addresses = addresses.await.context("the gateway did not start")?;
        Ok(Self {
            client: Client::new(format!("http://{}", addresses.public)),
            admin: Client::new(format!("http://{}", addresses.admin)),
            issuer,
            postgres,
            _stop: stop.drop_guard(),
        })
    }

    /// A new session of a user.
    async fn create(&self, user: &str) -> Result<Answer> {
        let token = self.issuer.token("acme", user, &["user"])?;
        self.create_with(&token).await
    }

    async fn create_with(&self, token: &str) -> Result<Answer> {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        self.client
            .send(Method::POST, "/v1/sessions", &headers, "{}")
            .await
    }

    /// How many of twice as many requests as the user may send at once pass.
    async fn passed(&self, user: &str) -> Result<usize> {
        let mut passed = 0;
        for _ in 0..BURST * 2 {
            match self.create(user).await?.status {
                StatusCode::CREATED => passed += 1,
                status => ensure!(status == StatusCode::TOO_MANY_REQUESTS, "{status}"),
            }
        }
        Ok(passed)
    }

    async fn ready(&self) -> Result<StatusCode> {
        Ok(self
            .admin
            .send(Method::GET, "/ready", &[], "")
            .await?
            .status)
    }

    /// Whoever holds no token of the organization's issuer stays outside.
    async fn expect_locked(&self) -> Result<()> {
        let forged = Issuer::new("https://issuer.test")?.token("acme", "alice", &["admin"])?;
        for token in [forged.as_str(), "", "aak_acme_x_y"] {
            let status = self.create_with(token).await?.status;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{token:?}");
        }
        Ok(())
    }
}

fn organization(issuer: &Issuer) -> Result<TenantConfig> {
    Ok(serde_json::from_value(json!({
        "schemaVersion": SCHEMA_VERSION,
        "minReader": MIN_READER,
        "revision": "",
        "organization": "acme",
        "tenantId": Uuid::new_v4(),
        "namespace": "org-acme",
        "displayName": "acme",
        "suspended": false,
        "identity": {"issuers": [{
            "issuer": issuer.url,
            "keys": {"inline": issuer.key_set()},
            "audiences": [AUDIENCE],
            "claims": {"user": "sub", "organization": "org_id", "roles": "roles"},
            "organizationValue": "acme",
        }], "serviceAccounts": false},
        "egress": [],
        "sessions": {"maxPerUser": 1000, "idleTimeoutSeconds": 600, "maxLifetimeSeconds": 3600},
        "rateLimits": {
            "perUser": {"requestsPerMinute": 1, "burst": BURST},
            "overrides": {},
            "organization": null,
        },
        "audit": {"retentionDays": 365, "durability": "synchronous"},
        "eventSinks": [],
        "servers": [],
        "prompts": [],
    }))?)
}

/// Has no secret.
struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn read(&self, wanted: &SecretReference) -> Result<SecretString, SecretError> {
        Err(SecretError::Missing {
            namespace: wanted.namespace.clone(),
            name: wanted.name.clone(),
            key: wanted.key.clone(),
        })
    }
}

/// What the cache's check of `/health` says.
async fn cache_is(gateway: &Broken, wanted: &str) -> Result<()> {
    eventually(&format!("the cache is {wanted}"), || async {
        let health = gateway.admin.send(Method::GET, "/health", &[], "").await?;
        ensure!(health.status == StatusCode::OK, "requests can go on");
        let health = health.json()?;
        let checks = health["checks"].as_array().context("there are checks")?;
        let cache = checks.iter().find(|check| check["name"] == "cache");
        ensure!(
            cache.context("there is the cache")?["status"] == wanted,
            "{health}"
        );
        Ok(())
    })
    .await
}

/// The metric that says whether the cache is away.
async fn metric_is(gateway: &Broken, line: &str) -> Result<()> {
    let metrics = gateway.admin.send(Method::GET, "/metrics", &[], "").await?;
    let text = String::from_utf8_lossy(&metrics.body);
    ensure!(
        text.lines().any(|found| found == line),
        "{line} is not in\n{text}"
    );
    Ok(())
}

/// Requests go on, what they may do is as limited as before, and the gateway says so.
async fn expect_to_go_on_without_the_cache(gateway: &Broken) -> Result<()> {
    assert_eq!(gateway.passed("during").await?, BURST, "without Redis");
    gateway.expect_locked().await?;
    cache_is(gateway, "degraded").await?;
    metric_is(gateway, "agentapi_cache_away 1").await
}

async fn expect_recovered(gateway: &Broken) -> Result<()> {
    cache_is(gateway, "ok").await?;
    metric_is(gateway, "agentapi_cache_away 0").await?;
    assert_eq!(gateway.passed("after").await?, BURST, "with Redis again");
    Ok(())
}

/// The connection to Redis is broken, and what Redis knew is still there afterwards.
async fn without_redis(break_it: fn(&TcpProxy)) -> Result<()> {
    TestDatabase::with(move |database| async move {
        let (redis, url) = proxied(own_database()?).await?;
        let gateway = Broken::start(&database, url.as_str()).await?;
        assert_eq!(gateway.passed("before").await?, BURST, "with Redis");
        break_it(&redis);
        expect_to_go_on_without_the_cache(&gateway).await?;
        redis.heal();
        expect_recovered(&gateway).await?;
        let status = gateway.create("before").await?.status;
        assert_eq!(
            status,
            StatusCode::TOO_MANY_REQUESTS,
            "what was used before the outage is remembered"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_redis_requests_go_on_within_the_limits() -> Result<()> {
    without_redis(TcpProxy::cut).await
}

#[tokio::test]
async fn with_a_redis_that_hangs_requests_go_on_within_the_limits() -> Result<()> {
    without_redis(TcpProxy::hold).await
}

#[tokio::test]
async fn a_redis_that_is_killed_and_started_again_forgets_and_is_used_again() -> Result<()> {
    TestDatabase::with(|database| async move {
        let mut redis = RedisServer::start().await?;
        let gateway = Broken::start(&database, &redis.url()).await?;
        assert_eq!(gateway.passed("before").await?, BURST, "with Redis");
        redis.kill().await?;
        expect_to_go_on_without_the_cache(&gateway).await?;
        redis.restart().await?;
        expect_recovered(&gateway).await
    })
    .await
}

#[tokio::test]
async fn a_redis_that_is_suspended_makes_no_line_of_requests_wait() -> Result<()> {
    TestDatabase::with(|database| async move {
        let redis = RedisServer::start().await?;
        let gateway = Broken::start(&database, &redis.url()).await?;
        assert_eq!(gateway.passed("before").await?, BURST, "with Redis");
        redis.suspend()?;
        let begun = Instant::now();
        assert_eq!(gateway.passed("first").await?, BURST);
        let first = begun.elapsed();
        // Eight requests that each waited for the cache would take two seconds.
        ensure!(
            first < Duration::from_secs(2),
            "eight requests took {first:?}"
        );
        expect_to_go_on_without_the_cache(&gateway).await?;
        redis.resume()?;
        expect_recovered(&gateway).await
    })
    .await
}

#[tokio::test]
async fn a_gateway_that_starts_without_redis_serves_and_finds_it_later() -> Result<()> {
    TestDatabase::with(|database| async move {
        let mut redis = RedisServer::start().await?;
        redis.kill().await?;
        let gateway = Broken::start(&database, &redis.url()).await?;
        expect_to_go_on_without_the_cache(&gateway).await?;
        redis.restart().await?;
        expect_recovered(&gateway).await
    })
    .await
}

/// What cannot be recorded does not happen, and says that it may be tried again.
async fn without_postgres(break_it: fn(&TcpProxy)) -> Result<()> {
    TestDatabase::with(move |database| async move {
        let redis = own_database()?;
        let gateway = Broken::start(&database, redis.as_str()).await?;
        assert_eq!(gateway.create("before").await?.status, StatusCode::CREATED);
        assert_eq!(gateway.ready().await?, StatusCode::OK);
        break_it(&gateway.postgres);
        let refused = gateway.create("during").await?;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        let problem = refused.json()?;
        assert_eq!(
            (&problem["code"], &problem["retryable"]),
            (&json!("unavailable"), &json!(true))
        );
        gateway.expect_locked().await?;
        assert_eq!(gateway.ready().await?, StatusCode::SERVICE_UNAVAILABLE);
        gateway.postgres.heal();
        eventually("sessions are created again", || async {
            let user = Uuid::new_v4().to_string();
            let status = gateway.create(&user).await?.status;
            ensure!(status == StatusCode::CREATED, "{status}");
            Ok(())
        })
        .await?;
        assert_eq!(gateway.ready().await?, StatusCode::OK);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_postgresql_nothing_happens_unrecorded_and_no_restart_is_needed() -> Result<()> {
    without_postgres(TcpProxy::cut).await
}

#[tokio::test]
async fn with_a_postgresql_that_hangs_nothing_happens_unrecorded_and_no_restart_is_needed()
-> Result<()> {
    without_postgres(TcpProxy::hold).await
}
