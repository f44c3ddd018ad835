//! One refresh for one token across three gateways, each a process of its own, on
//! PostgreSQL; also when the one that refreshes is killed with SIGKILL.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use agentapi_e2e::client::Client;
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::issuer::Issuer;
use agentapi_e2e::mcp::Mcp;
use agentapi_e2e::oauth::{
    AuthorizationServer, Browser, ENCRYPTION_KEYS, SERVER, document, login_of,
};
use agentapi_e2e::postgres::TestDatabase;
use agentapi_gateway::store;
use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use http::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{Executor, query_scalar};
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// Calls that need the token at once, over all replicas.
const CALLS: usize = 100;
/// Longest wait for a replica to start. Generous: a test machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);

/// Stops a replica that has taken the lease, just before it notes that it sends.
const STOP_BEFORE_SENDING: &str = "
    CREATE FUNCTION stop_here() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN NEW; END $$;
    GRANT EXECUTE ON FUNCTION stop_here() TO PUBLIC;
    CREATE TRIGGER stop_here BEFORE UPDATE ON oauth_tokens FOR EACH ROW
        WHEN (NEW.sent = 1 AND OLD.sent = 0) EXECUTE FUNCTION stop_here()";

/// A gateway in a process of its own; it is killed when this is dropped.
struct Replica {
    url: String,
    child: Child,
}

impl Replica {
    async fn start(database: &TestDatabase, document: &NamedTempFile) -> Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gateway_replica"))
            .env("REPLICA_DOCUMENT", document.path())
            .env("AGENTAPI_LISTEN", "127.0.0.1:0")
            .env("AGENTAPI_ADMIN_LISTEN", "127.0.0.1:0")
            .env(
                "AGENTAPI_DATABASE_URL",
                database.gateway_url().expose_secret(),
            )
            .env("AGENTAPI_OUTBOUND_ALLOW", "127.0.0.0/8")
            .env("AGENTAPI_ENCRYPTION_KEYS", ENCRYPTION_KEYS)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().context("the output is piped")?;
        let mut lines = BufReader::new(output).lines();
        let line = tokio::time::timeout(LIMIT, lines.next_line()).await??;
        let line = line.context("the replica ended before it was ready")?;
        let url = line
            .strip_prefix("ready ")
            .context("an unknown line")?
            .to_owned();
        Ok(Self { url, child })
    }

    async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// Three gateways and an authorization server, with alice's account connected, whose
/// token is due.
struct Stage {
    provider: AuthorizationServer,
    replicas: Vec<Replica>,
    token: String,
    superuser: PgConnection,
    _document: NamedTempFile,
}

impl Stage {
    async fn new(database: &TestDatabase) -> Result<Self> {
        store::migrate(&database.owner_url()).await?;
        let provider = AuthorizationServer::start().await?;
        provider.behave(|behaviour| behaviour.first_life = Some(1));
        let issuer = Issuer::new("https://id.example.com")?;
        let file = NamedTempFile::new()?;
        let document = document(&issuer, &provider.url)?;
        std::fs::write(file.path(), serde_json::to_string(&document)?)?;
        let mut replicas = Vec::new();
        for _ in 0..3 {
            replicas.push(Replica::start(database, &file).await?);
        }
        let token = issuer.token("acme", "alice", &["user"])?;
        connect(&replicas[0].url, &token).await?;
        Ok(Self {
            superuser: database.connect(database.superuser_url()).await?,
            provider,
            replicas,
            token,
            _document: file,
        })
    }

    /// Calls the server through these replicas, all at once.
    async fn call_all(&self, replicas: &[Replica]) -> Vec<Result<Value>> {
        let calls = (0..CALLS).map(|number| {
            let url = replicas[number % replicas.len()].url.clone();
            call(url, self.token.clone())
        });
        join_all(calls).await
    }

    /// All calls succeed, by the same new token.
    async fn expect_served(&self, replicas: &[Replica]) -> Result<()> {
        let mut tokens: Vec<String> = Vec::new();
        for call in self.call_all(replicas).await {
            let message = call?;
            let text = message
                .pointer("/result/content/0/text")
                .and_then(Value::as_str);
            tokens.push(
                text.with_context(|| format!("not served: {message}"))?
                    .to_owned(),
            );
        }
        tokens.sort();
        tokens.dedup();
        ensure!(tokens.len() == 1, "{tokens:?} were used");
        Ok(())
    }

    /// All calls ask for consent.
    async fn expect_reconnect(&self, replicas: &[Replica]) -> Result<()> {
        for call in self.call_all(replicas).await {
            let message = call?;
            let code = message.pointer("/error/data/code").and_then(Value::as_str);
            ensure!(code == Some("reconnect_required"), "{message}");
        }
        Ok(())
    }

    /// Has the first replica begin a refresh.
    fn begin_refresh(&self) -> tokio::task::JoinHandle<Result<Value>> {
        tokio::spawn(call(self.replicas[0].url.clone(), self.token.clone()))
    }
}

async fn call(url: String, token: String) -> Result<Value> {
    let mcp = Mcp::connect(&format!("{url}/mcp"), Some(&token)).await?;
    let call = json!({ "name": "notes__whoami", "arguments": {} });
    mcp.message("tools/call", call).await
}

async fn connect(url: &str, token: &str) -> Result<()> {
    let bearer = format!("Bearer {token}");
    let path = format!("/v1/oauth/{SERVER}/authorize");
    let headers = [("authorization", &*bearer)];
    let answer = Client::new(url)
        .send(Method::POST, &path, &headers, "")
        .await?;
    let link = answer.json()?["connectUrl"].as_str().map(str::to_owned);
    let mut browser = Browser::default();
    let form = login_of(&mut browser, &link.context("no link")?, token).await?;
    let page = browser
        .send(&format!("{url}/v1/oauth/connect"), &form)
        .await?;
    ensure!(page.answer.status == StatusCode::OK, "{}", page.html());
    Ok(())
}

/// Three gateways under a hundred calls are all that a small machine serves: with
/// several such tests at one time, calls would wait for the database longer than
/// gateways let them.
static ONE_STAGE: Mutex<()> = Mutex::const_new(());

async fn with_stage<F>(
    test: impl FnOnce(Stage, Arc<TestDatabase>) -> F + Send + 'static,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let _alone = ONE_STAGE.lock().await;
    TestDatabase::with(|database| async move {
        let stage = Stage::new(&database).await?;
        test(stage, database).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_calls_on_three_replicas_refresh_once() -> Result<()> {
    with_stage(|stage, _| async move {
        stage.expect_served(&stage.replicas).await?;
        assert_eq!(stage.provider.refreshes(), 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_sending_another_replica_refreshes() -> Result<()> {
    with_stage(|mut stage, database| async move {
        stage.superuser.execute(STOP_BEFORE_SENDING).await?;
        let mut gate = database.connect(database.superuser_url()).await?;
        gate.execute("SELECT pg_advisory_lock(77)").await?;
        let call = stage.begin_refresh();
        let stopped = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
        let mut superuser = database.connect(database.superuser_url()).await?;
        let pid: i32 = wait_for_row(&mut superuser, "the first replica stops before it sends", stopped).await?;
        stage.replicas[0].kill().await?;
        // The server notices a client that is gone when it next writes to it: sooner here.
        let end = format!("SELECT pg_terminate_backend({pid}, 5000)");
        superuser.execute(sqlx::AssertSqlSafe(end)).await?;
        gate.execute("SELECT pg_advisory_unlock(77)").await?;
        drop(call.await?);
        assert_eq!(stage.provider.refreshes(), 0, "the killed replica had sent");
        stage.expect_served(&stage.replicas[1..]).await?;
        assert_eq!(stage.provider.refreshes(), 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_sending_nobody_sends_again_and_consent_is_asked_for() -> Result<()> {
    with_stage(|mut stage, _| async move {
        stage.provider.hold(true);
        let call = stage.begin_refresh();
        eventually("the refresh token is sent", async || {
            ensure!(stage.provider.refreshes() == 1, "it is not");
            Ok(())
        })
        .await?;
        stage.replicas[0].kill().await?;
        stage.provider.hold(false);
        drop(call.await?);
        stage.expect_reconnect(&stage.replicas[1..]).await?;
        assert_eq!(
            stage.provider.refreshes(),
            1,
            "a refresh token was used twice"
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_committing_the_others_use_what_it_wrote() -> Result<()> {
    with_stage(|mut stage, database| async move {
        let call = stage.begin_refresh();
        let written = "SELECT version::integer FROM oauth_tokens WHERE version = 2";
        let mut superuser = database.connect(database.superuser_url()).await?;
        let _: i32 = wait_for_row(&mut superuser, "the new tokens are written", written).await?;
        stage.replicas[0].kill().await?;
        drop(call.await?);
        stage.expect_served(&stage.replicas[1..]).await?;
        assert_eq!(stage.provider.refreshes(), 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_disconnected_through_one_replica_ends_on_the_others_within_seconds() -> Result<()>
{
    const BOUND: Duration = Duration::from_secs(5);
    with_stage(|stage, _| async move {
        stage.expect_served(&stage.replicas).await?;
        let bearer = format!("Bearer {}", stage.token);
        let headers = [("authorization", &*bearer)];
        let path = format!("/v1/oauth/{SERVER}");
        let client = Client::new(&stage.replicas[0].url);
        let ended = client.send(Method::DELETE, &path, &headers, "").await?;
        ensure!(ended.status == StatusCode::NO_CONTENT, "{ended:?}");
        agentapi_e2e::eventually::within(BOUND, "no replica uses the account", || async {
            for replica in &stage.replicas {
                let message = call(replica.url.clone(), stage.token.clone()).await?;
                let code = message.pointer("/error/data/code").and_then(Value::as_str);
                ensure!(code == Some("not_connected"), "{message}");
            }
            Ok(())
        })
        .await
    })
    .await
}

async fn wait_for_row(
    connection: &mut PgConnection,
    what: &str,
    query: &'static str,
) -> Result<i32> {
    let started = std::time::Instant::now();
    loop {
        let found: Option<i32> = query_scalar(query).fetch_optional(&mut *connection).await?;
        match found {
            Some(found) => return Ok(found),
            None => ensure!(started.elapsed() < LIMIT, "{what}: not within {LIMIT:?}"),
        }
        tokio::task::yield_now().await;
    }
}
