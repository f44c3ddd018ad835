//! Replicas killed with SIGKILL under load: what they acknowledged is there.
//!
//! AGENTAPI_TEST_KILL_ROUNDS says how often; twice if it is not set.

use std::collections::HashSet;
use std::process::Stdio;
use std::time::Duration;

use agentapi_e2e::postgres::TestDatabase;
use agentapi_e2e::store_contract::signer;
use agentapi_gateway::audit::{MOST_BUFFERED, checkpoint, verify};
use agentapi_gateway::cache;
use agentapi_gateway::domain::audit::{Outcome, Record};
use agentapi_gateway::store::{self, Store, TenantId};
use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use uuid::Uuid;

const ACME: TenantId = TenantId(Uuid::from_u128(0xACE));
/// Acknowledgements after which a replica is killed.
const LOAD: usize = 300;
/// Longest wait for an acknowledgement. Generous: a test machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);

/// A replica, and what it acknowledged.
struct Replica {
    child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
    acknowledged: Acknowledged,
}

#[derive(Default)]
struct Acknowledged {
    records: Vec<String>,
    sessions: Vec<(String, Uuid)>,
}

impl Acknowledged {
    fn read(&mut self, line: &str) -> Result<()> {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("record"), Some(resource), None) => self.records.push(resource.to_owned()),
            (Some("session"), Some(user), Some(id)) => {
                self.sessions.push((user.to_owned(), id.parse()?));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Replica {
    fn start(database: &TestDatabase, name: String, durability: &str) -> Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_replica"))
            .env(
                "REPLICA_DATABASE_URL",
                database.gateway_url().expose_secret(),
            )
            .env("REPLICA_NAME", name)
            .env("REPLICA_DURABILITY", durability)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().context("the output is piped")?;
        Ok(Self {
            child,
            lines: BufReader::new(output).lines(),
            acknowledged: Acknowledged::default(),
        })
    }

    /// Lets it work, kills it, and returns everything that it had said.
    async fn killed_under_load(mut self) -> Result<Acknowledged> {
        while self.acknowledged.records.len() < LOAD {
            let line = tokio::time::timeout(LIMIT, self.lines.next_line()).await;
            let line = line.context("the replica acknowledges nothing")??;
            self.acknowledged
                .read(&line.context("the replica ended by itself")?)?;
        }
        // SIGKILL.
        self.child.kill().await?;
        while let Ok(Some(line)) = self.lines.next_line().await {
            self.acknowledged.read(&line)?;
        }
        Ok(self.acknowledged)
    }
}

/// Two replicas at once, killed under load, as often as the run asks for.
async fn killed(database: &TestDatabase, durability: &str) -> Result<Vec<Acknowledged>> {
    let rounds = std::env::var("AGENTAPI_TEST_KILL_ROUNDS")
        .map_or(Ok(2), |rounds| rounds.parse::<usize>())
        .context("AGENTAPI_TEST_KILL_ROUNDS is no number")?;
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let replica = |name| Replica::start(database, format!("{round}-{name}"), durability);
        let (one, other) = (replica("one")?, replica("other")?);
        let (one, other) = tokio::join!(one.killed_under_load(), other.killed_under_load());
        acknowledged.extend([one?, other?]);
    }
    Ok(acknowledged)
}

/// The resources of all calls whose success is on the record.
async fn recorded(store: &dyn Store) -> Result<HashSet<String>> {
    let mut recorded = HashSet::new();
    for writer in store.audit_writers(ACME).await? {
        let chain = store.audit_chain(ACME, writer, 0, 1_000_000).await?;
        let success = |record: &Record| record.outcome == Outcome::Success;
        recorded.extend(
            chain
                .into_iter()
                .filter(success)
                .map(|record| record.resource),
        );
    }
    Ok(recorded)
}

fn lost(acknowledged: &Acknowledged, recorded: &HashSet<String>) -> usize {
    let there = |resource: &&String| !recorded.contains(*resource);
    acknowledged.records.iter().filter(there).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_replicas_lose_no_acknowledged_session_and_no_synchronous_record() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let acknowledged = killed(&database, "synchronous").await?;
        let store = store::open(&database.gateway_url()).await?;
        let recorded = recorded(&*store).await?;
        for replica in &acknowledged {
            assert_eq!(lost(replica, &recorded), 0, "records were lost");
            for (user, id) in &replica.sessions {
                let session = store.touch_session(ACME, user, *id).await?;
                ensure!(session.is_some(), "session {id} of {user} was lost");
            }
            assert!(!replica.sessions.is_empty(), "no session was made");
        }
        expect_events(&*store, &acknowledged).await?;
        expect_whole_once_closed(&*store, acknowledged.len(), 0).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_replicas_lose_at_most_the_bound_of_buffered_records_and_it_is_counted() -> Result<()>
{
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let acknowledged = killed(&database, "buffered").await?;
        let store = store::open(&database.gateway_url()).await?;
        let recorded = recorded(&*store).await?;
        for replica in &acknowledged {
            let lost = lost(replica, &recorded);
            assert!(lost <= MOST_BUFFERED as usize, "{lost} records were lost");
        }
        expect_whole_once_closed(&*store, acknowledged.len(), MOST_BUFFERED).await
    })
    .await
}

/// Every acknowledged call has its event in the outbox.
async fn expect_events(store: &dyn Store, acknowledged: &[Acknowledged]) -> Result<()> {
    let hour = Duration::from_secs(3600);
    let events = store.take_deliveries(ACME, "hook", hour, 1_000_000).await?;
    let told = events.into_iter().filter_map(|event| event.record);
    let told: HashSet<String> = told.map(|record| record.resource).collect();
    for replica in acknowledged {
        assert_eq!(lost(replica, &told), 0, "events were lost");
    }
    Ok(())
}

/// The successor closes the chains of the dead, counts what they may lack, and all of it verifies.
async fn expect_whole_once_closed(store: &dyn Store, writers: usize, may_lack: u32) -> Result<()> {
    let everybody = Timestamp::now() + SignedDuration::from_hours(1);
    let dead = store.close_dead_writers(everybody).await?;
    let lacking: Vec<u32> = dead.iter().map(|dead| dead.may_lack).collect();
    assert_eq!(lacking, vec![may_lack; writers]);
    let (signer, anchors) = (signer()?, cache::anchors(None)?);
    checkpoint(store, &signer, &*anchors, ACME, None).await?;
    let found = verify(store, ACME, signer.keys(), anchors.anchor(ACME).await?).await?;
    assert!(found.is_whole(), "{found:?}");
    assert_eq!(
        (found.writers, found.may_lack),
        (writers, u64::from(may_lack) * writers as u64)
    );
    Ok(())
}
