//! A database of the test's own on a real PostgreSQL, with the platform's roles.

use std::future::Future;
use std::sync::Arc;

use agentapi_gateway::store;
use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use url::Url;
use uuid::Uuid;

use crate::program::setting;
use crate::tcp_proxy::TcpProxy;

/// The roles of `migrations/bootstrap.sql`, for a server on which it did not run.
/// Roles belong to the server: tests that run at once take turns.
const ROLES: &str = "
    SELECT pg_advisory_lock(4242);
    DO $$
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentapi_owner') THEN
            CREATE ROLE agentapi_owner LOGIN;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentapi_gateway') THEN
            CREATE ROLE agentapi_gateway LOGIN NOINHERIT;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentapi_worker') THEN
            CREATE ROLE agentapi_worker NOLOGIN;
        END IF;
        IF NOT pg_has_role('agentapi_gateway', 'agentapi_worker', 'MEMBER') THEN
            GRANT agentapi_worker TO agentapi_gateway;
        END IF;
    END
    $$;
    SELECT pg_advisory_unlock(4242);";

/// An empty database. The test logs in as a role of its own, which is no
/// superuser and becomes `agentapi_gateway` as it connects: the passwords of the
/// platform's own roles are not touched.
pub struct TestDatabase {
    superuser: Url,
    name: String,
    password: String,
}

impl TestDatabase {
    /// Runs a test on a new database, and removes it afterwards, whatever happened.
    pub async fn with<F, T>(test: impl FnOnce(Arc<Self>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        Self::with_copy_of("template1", test).await
    }

    /// Runs a test on the store of a new, migrated database, as the gateway's role.
    pub async fn with_store<F>(
        test: impl FnOnce(Arc<dyn store::Store>) -> F + Send + 'static,
    ) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        Self::with(|database| async move {
            store::migrate(&database.owner_url()).await?;
            test(store::open(&database.gateway_url()).await?).await
        })
        .await
    }

    /// Runs a test on a copy of another database, and removes it afterwards.
    pub async fn with_copy_of<F, T>(template: &str, test: impl FnOnce(Arc<Self>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let database = Arc::new(Self::create(template).await?);
        let outcome = tokio::spawn(test(database.clone())).await;
        let removed = database.remove().await;
        let outcome = outcome.context("the test panicked")??;
        removed.map(|()| outcome)
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A setting of every later session of the test's own login.
    pub async fn set_for_login(&self, setting: &str, value: &str) -> Result<()> {
        let mut server = PgConnection::connect(self.superuser.as_str()).await?;
        let statement = format!("ALTER ROLE {} SET {setting} = '{value}'", self.name);
        server.execute(AssertSqlSafe(statement)).await?;
        Ok(())
    }

    async fn create(template: &str) -> Result<Self> {
        let superuser = Url::parse(&setting("AGENTAPI_TEST_POSTGRES_URL")?)?;
        let suffix = Uuid::new_v4().simple();
        let database = Self {
            superuser,
            name: format!("agentapi_test_{suffix}"),
            password: Uuid::new_v4().to_string(),
        };
        let Self { name, password, .. } = &database;
        let mut server = PgConnection::connect(database.superuser.as_str()).await?;
        server.execute(ROLES).await?;
        for statement in [
            format!("CREATE DATABASE {name} OWNER agentapi_owner TEMPLATE {template}"),
            format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"),
            format!(
                "CREATE ROLE {name} LOGIN NOINHERIT PASSWORD '{password}' IN ROLE agentapi_gateway"
            ),
            format!("GRANT CONNECT ON DATABASE {name} TO agentapi_gateway, {name}"),
        ] {
            server.execute(AssertSqlSafe(statement)).await?;
        }
        Ok(database)
    }

    async fn remove(&self) -> Result<()> {
        let mut server = PgConnection::connect(self.superuser.as_str()).await?;
        for statement in [
            format!("DROP DATABASE {} WITH (FORCE)", self.name),
            format!("DROP ROLE {}", self.name),
        ] {
            server.execute(AssertSqlSafe(statement)).await?;
        }
        Ok(())
    }

    /// As the gateway connects.
    pub fn gateway_url(&self) -> SecretString {
        let mut url = self.superuser.clone();
        // Neither fails on a URL that has a host, as the superuser's has.
        let _ = url.set_username(&self.name);
        let _ = url.set_password(Some(&self.password));
        self.in_role(url, "agentapi_gateway")
    }

    /// Makes the test's own login a member of a further role.
    pub async fn grant_to_login(&self, role: &str) -> Result<()> {
        let mut server = PgConnection::connect(self.superuser.as_str()).await?;
        server
            .execute(AssertSqlSafe(format!("GRANT {role} TO {}", self.name)))
            .await?;
        Ok(())
    }

    /// As the gateway connects, through a proxy that the test can cut.
    pub async fn proxied_gateway_url(&self) -> Result<(TcpProxy, SecretString)> {
        let mut url = Url::parse(self.gateway_url().expose_secret())?;
        let host = url
            .host_str()
            .context("the URL of the test's PostgreSQL has a host")?;
        let proxy = TcpProxy::start(format!("{host}:{}", url.port().unwrap_or(5432))).await?;
        url.set_ip_host(proxy.address().ip())
            .ok()
            .context("the URL can have an address")?;
        url.set_port(Some(proxy.address().port()))
            .ok()
            .context("the URL can have a port")?;
        url.query_pairs_mut().append_pair("sslmode", "disable");
        Ok((proxy, String::from(url).into()))
    }

    /// As `agentapi migrate` connects.
    pub fn owner_url(&self) -> SecretString {
        self.in_role(self.superuser.clone(), "agentapi_owner")
    }

    /// As nobody should.
    pub fn superuser_url(&self) -> SecretString {
        let mut url = self.superuser.clone();
        url.set_path(&self.name);
        String::from(url).into()
    }

    fn in_role(&self, mut url: Url, role: &str) -> SecretString {
        url.set_path(&self.name);
        url.query_pairs_mut()
            .append_pair("options", &format!("-c role={role}"));
        String::from(url).into()
    }

    /// A connection with which a test looks behind the store.
    pub async fn connect(&self, url: SecretString) -> Result<PgConnection> {
        Ok(PgConnection::connect(url.expose_secret()).await?)
    }
}
