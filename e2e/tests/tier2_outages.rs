//! A whole gateway on real PostgreSQL and Redis, while either is away, hangs and comes back.

use std::sync::Arc;

use agentapi_crds::tenant_config::{MIN_READER, SCHEMA_VERSION, SecretReference, TenantConfig};
use agentapi_e2e::client::{Answer, Client};
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::issuer::{AUDIENCE, Issuer};
use agentapi_e2e::postgres::TestDatabase;
use agentapi_e2e::program::setting;
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
use url::Url;
use uuid::Uuid;

/// Requests that a user may send at once; the next one comes a minute later.
const BURST: usize = 4;

/// A gateway whose database and cache a test can break.
struct Broken {
    client: Client,
    admin: Client,
    issuer: Issuer,
    postgres: TcpProxy,
    redis: TcpProxy,
    _stop: DropGuard,
}

impl Broken {
    async fn start(database: &TestDatabase) -> Result<Self> {
        store::migrate(&database.owner_url()).await?;
        let (postgres, database_url) = database.proxied_gateway_url().await?;
        let (redis, redis_url) = proxied_redis().await?;
        let issuer = Issuer::new("https://issuer.test")?;
        let settings = [
            ("AGENTAPI_LISTEN", "127.0.0.1:0"),
            ("AGENTAPI_ADMIN_LISTEN", "127.0.0.1:0"),
            ("AGENTAPI_DATABASE_URL", database_url.expose_secret()),
            ("AGENTAPI_REDIS_URL", redis_url.as_str()),
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
            redis,
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

async fn proxied_redis() -> Result<(TcpProxy, Url)> {
    let mut url = Url::parse(&setting("AGENTAPI_TEST_REDIS_URL")?)?;
    let host = url.host_str().context("the URL has a host")?;
    let proxy = TcpProxy::start(format!("{host}:{}", url.port().unwrap_or(6379))).await?;
    let address = proxy.address();
    let set = url.set_ip_host(address.ip()).is_ok() && url.set_port(Some(address.port())).is_ok();
    ensure!(set, "the URL cannot have an address");
    Ok((proxy, url))
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

/// Requests go on, and what they may do is as limited as before.
async fn without_redis(break_it: fn(&TcpProxy)) -> Result<()> {
    TestDatabase::with(move |database| async move {
        let gateway = Broken::start(&database).await?;
        assert_eq!(gateway.passed("before").await?, BURST, "with Redis");
        break_it(&gateway.redis);
        assert_eq!(gateway.passed("during").await?, BURST, "without Redis");
        gateway.expect_locked().await?;
        gateway.redis.heal();
        eventually(
            "what was used before the outage is remembered again",
            || async {
                let status = gateway.create("before").await?.status;
                ensure!(status == StatusCode::TOO_MANY_REQUESTS, "{status}");
                Ok(())
            },
        )
        .await?;
        assert_eq!(gateway.passed("after").await?, BURST, "with Redis again");
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

/// What cannot be recorded does not happen, and says that it may be tried again.
async fn without_postgres(break_it: fn(&TcpProxy)) -> Result<()> {
    TestDatabase::with(move |database| async move {
        let gateway = Broken::start(&database).await?;
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
