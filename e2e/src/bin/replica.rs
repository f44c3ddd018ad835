//! A replica's store and recorder under load, for tests that kill it.
//!
//! Prints `ready`, and then a line for each acknowledgement: `session ID`,
//! `record RESOURCE`. What it did not print, nobody was told.
//!
//! Variables: `REPLICA_DATABASE_URL`, `REPLICA_NAME`, and `REPLICA_DURABILITY`
//! (`synchronous` or `buffered`).

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use agentapi_crds::tenant_config::AuditDurability;
use agentapi_e2e::program::setting;
use agentapi_gateway::audit::{Policies, Policy, Recorder};
use agentapi_gateway::domain::audit::{Action, Context, Outcome};
use agentapi_gateway::store::{self, NewSession, Store, TenantId};
use agentapi_gateway::telemetry::Metrics;
use anyhow::{Result, bail};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use uuid::Uuid;

const ACME: TenantId = TenantId(Uuid::from_u128(0xACE));
const CALLERS: usize = 8;

#[tokio::main]
async fn main() -> Result<()> {
    let url = SecretString::from(setting("REPLICA_DATABASE_URL")?);
    let name = setting("REPLICA_NAME")?;
    let durability = match setting("REPLICA_DURABILITY")?.as_str() {
        "synchronous" => AuditDurability::Synchronous,
        "buffered" => AuditDurability::Buffered,
        other => bail!("there is no durability {other}"),
    };
    let policy = WithSink(Policy {
        durability,
        ..Policy::default()
    });
    let store = store::open(&url).await?;
    let recorder = Recorder::with_policies(store.clone(), Arc::new(policy), Metrics::new()).await?;
    say("ready replica")?;
    let callers = (0..CALLERS).map(|caller| {
        let (store, recorder, name) = (store.clone(), recorder.clone(), name.clone());
        tokio::spawn(load(store, recorder, format!("{name}/{caller}")))
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await??;
    }
    Ok(())
}

/// The policy of an organization whose one event sink is sent everything.
struct WithSink(Policy);

impl Policies for WithSink {
    fn policy(&self, _: TenantId) -> Policy {
        self.0
    }

    fn sinks(&self, _: TenantId, _: Action, outcome: Outcome) -> Vec<Arc<str>> {
        match outcome {
            Outcome::Intent => Vec::new(),
            _ => vec!["hook".into()],
        }
    }
}

/// Sessions and calls, one after the other, until the process is killed.
async fn load(store: Arc<dyn Store>, recorder: Recorder, user: String) -> Result<()> {
    for number in 0.. {
        let resource = format!("{user}/{number}");
        if call(&recorder, &user, resource.clone()).await.is_ok() {
            say(&format!("record {resource}"))?;
        } else {
            // The database is away: not faster than it comes back.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if number % 10 == 0
            && let Ok(session) = store.create_session(ACME, session_of(&user)).await
        {
            say(&format!("session {user} {}", session.id))?;
        }
    }
    Ok(())
}

async fn call(recorder: &Recorder, user: &str, resource: String) -> Result<()> {
    let context = Arc::new(Context {
        organization: "acme".to_owned(),
        actor: user.to_owned(),
        api_key: None,
        request_id: resource.clone(),
        address: "192.0.2.7".to_owned(),
        user_agent: "replica".to_owned(),
    });
    let act = recorder
        .intent(ACME, &context, Action::ToolCall, resource)
        .await?;
    Ok(act.finish(Outcome::Success, None).await?)
}

fn session_of(user: &str) -> NewSession {
    NewSession {
        user: user.to_owned(),
        workspace: "default".to_owned(),
        metadata: serde_json::json!({}),
        expires_at: Timestamp::now() + SignedDuration::from_hours(1),
        idle_timeout_seconds: 3600,
        max_per_user: 1_000_000,
    }
}

fn say(line: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}
