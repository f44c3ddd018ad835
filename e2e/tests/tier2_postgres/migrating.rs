//! `agentapi migrate`: from nothing, from every version before, twice at once, as the wrong role.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use agentapi_e2e::postgres::TestDatabase;
use agentapi_e2e::program::built;
use agentapi_gateway::audit::{Recorder, verify};
use agentapi_gateway::domain::audit::{
    Action, Context as Caller, Entry, Head, Outcome, Record, Stamp, VerifyingKeys,
};
use agentapi_gateway::store::{self, TenantId};
use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::query;
use tokio::process::Command;
use uuid::Uuid;

const ACME: TenantId = TenantId(Uuid::from_u128(0xACE));
const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/postgres");
/// The first version with an audit record, and the one that moved it into partitions.
const RECORD: i64 = 2;
const PARTITIONS: i64 = 20;

async fn agentapi_migrate(url: &SecretString) -> Result<Output> {
    let mut command = Command::new(built("agentapi")?);
    command
        .arg("migrate")
        .env("AGENTAPI_MIGRATION_URL", url.expose_secret());
    Ok(command.output().await?)
}

/// All versions, oldest first.
async fn versions() -> Result<Vec<i64>> {
    let migrator = Migrator::new(Path::new(MIGRATIONS)).await?;
    Ok(migrator.iter().map(|migration| migration.version).collect())
}

/// Brings an empty database to an earlier version.
async fn migrate_to(database: &TestDatabase, version: i64) -> Result<()> {
    let all = Migrator::new(Path::new(MIGRATIONS)).await?;
    let mut until = Migrator::DEFAULT;
    let upto = |migration: &&sqlx::migrate::Migration| migration.version <= version;
    until.migrations = all.iter().filter(upto).cloned().collect::<Vec<_>>().into();
    let owner = PgPool::connect(database.owner_url().expose_secret()).await?;
    until.run(&owner).await?;
    owner.close().await;
    Ok(())
}

/// A chain as the versions before partitions kept it, over the turn of a month.
async fn write_old_chain(superuser: &mut PgConnection, length: u32) -> Result<()> {
    let writer = Uuid::now_v7();
    query("INSERT INTO audit_writers (id, opened_at) VALUES ($1, 0)")
        .bind(writer)
        .execute(&mut *superuser)
        .await?;
    let mut head = Head::default();
    for number in 0..length {
        let entry = Entry {
            context: Arc::new(Caller {
                organization: "acme".to_owned(),
                actor: "alice".to_owned(),
                api_key: None,
                request_id: "request-1".to_owned(),
                address: "192.0.2.7".to_owned(),
                user_agent: "curl/8".to_owned(),
            }),
            action: Action::ToolCall,
            resource: "notes/add".to_owned(),
            outcome: Outcome::Success,
            reason: None,
        };
        let stamp = Stamp {
            id: Uuid::now_v7(),
            time: Timestamp::from_second(1_761_955_100 + i64::from(number) * 100)?,
            key: [7; 16],
        };
        let record = head.seal(writer, stamp, &entry);
        head = Head::after(&record);
        insert(superuser, &record).await?;
    }
    Ok(())
}

async fn insert(superuser: &mut PgConnection, record: &Record) -> Result<()> {
    query(
        "INSERT INTO audit_logs (tenant_id, writer, sequence, id, time, organization, actor, address, user_agent, \
         commitment_key, actor_commitment, address_commitment, user_agent_commitment, action, resource, outcome, \
         request_id, previous_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, decode($10, 'hex'), \
         decode($11, 'hex'), decode($12, 'hex'), decode($13, 'hex'), $14, $15, $16, $17, decode($18, 'hex'), \
         decode($19, 'hex'))",
    )
    .bind(ACME.0)
    .bind(record.writer)
    .bind(i64::try_from(record.sequence)?)
    .bind(record.id)
    .bind(record.time.as_microsecond())
    .bind(&record.organization)
    .bind(&record.actor)
    .bind(&record.address)
    .bind(&record.user_agent)
    .bind(&record.commitment_key)
    .bind(&record.commitments[0])
    .bind(&record.commitments[1])
    .bind(&record.commitments[2])
    .bind(record.action.name())
    .bind(&record.resource)
    .bind(record.outcome.name())
    .bind(&record.request_id)
    .bind(&record.previous_hash)
    .bind(&record.hash)
    .execute(superuser)
    .await?;
    Ok(())
}

#[tokio::test]
async fn an_empty_database_is_brought_up_to_date_by_the_command() -> Result<()> {
    TestDatabase::with(|database| async move {
        let output = agentapi_migrate(&database.owner_url()).await?;
        let printed = String::from_utf8(output.stdout)?;
        let last = *versions().await?.last().context("there are migrations")?;
        assert!(
            output.status.success(),
            "{output:?}",
            output = output.stderr
        );
        assert!(
            printed.ends_with(&format!("schema version {last}\n")),
            "{printed}"
        );
        store::open(&database.gateway_url()).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_earlier_version_is_brought_up_to_date_with_what_it_holds() -> Result<()> {
    let versions = versions().await?;
    for version in &versions[..versions.len() - 1] {
        let version = *version;
        TestDatabase::with(move |database| async move {
            migrate_to(&database, version).await?;
            let holds_old_chain = (RECORD..PARTITIONS).contains(&version);
            if holds_old_chain {
                let mut superuser = database.connect(database.superuser_url()).await?;
                write_old_chain(&mut superuser, 5).await?;
            }
            store::migrate(&database.owner_url())
                .await
                .with_context(|| format!("from version {version}"))?;
            let store = store::open(&database.gateway_url()).await?;
            let found = verify(&*store, ACME, &VerifyingKeys::default(), None).await?;
            let expected = if holds_old_chain { 5 } else { 0 };
            ensure!(found.is_whole(), "from version {version}: {found:?}");
            assert_eq!(found.records, expected, "from version {version}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn two_migrations_at_once_do_the_work_once() -> Result<()> {
    TestDatabase::with(|database| async move {
        let url = database.owner_url();
        let (one, other) = tokio::join!(store::migrate(&url), store::migrate(&url));
        let (one, other) = (one?, other?);
        assert_eq!(one.version, other.version);
        let applied = [one.applied, other.applied].concat();
        assert_eq!(
            applied,
            versions().await?,
            "each version once, by one of both"
        );
        store::open(&database.gateway_url()).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_role_that_is_not_the_owner_is_told_whom_to_be() -> Result<()> {
    TestDatabase::with(|database| async move {
        let output = agentapi_migrate(&database.gateway_url()).await?;
        let told = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("agentapi_owner"), "{told}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_server_that_is_away_is_reported_without_the_password() -> Result<()> {
    let url = SecretString::from("postgres://agentapi_owner:hunter2@127.0.0.1:1/agentapi");
    let output = agentapi_migrate(&url).await?;
    let told = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("not available") && !told.contains("hunter2"),
        "{told}"
    );
    Ok(())
}

/// Both make the month's partition and open their writers in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_may_start_at_once() -> Result<()> {
    TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let replica = || async {
            let store = store::open(&database.gateway_url()).await?;
            let recorder = Recorder::start(store).await?;
            recorder.close().await;
            anyhow::Ok(())
        };
        let (one, other) = tokio::join!(replica(), replica());
        one.and(other)
    })
    .await
}
