//! How fast records are written, against a plain `INSERT … SELECT unnest` as the
//! same role under the same policies into the same table.
//!
//! Rounds alternate between the two; the figure is the median of their paired ratios.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentapi_e2e::postgres::TestDatabase;
use agentapi_gateway::audit::Recorder;
use agentapi_gateway::domain::audit::{
    Action, Context, Entry, Head, Month, Outcome, Partition, Record, Stamp,
};
use agentapi_gateway::store::{self, Store, TenantId, WriterId};
use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use jiff::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::{Executor, query};
use uuid::Uuid;

use super::rounds::Rounds;
use crate::report::{Bar, Report};

/// At least this part of the plain statement's rate.
const RATE: f64 = 0.7;
const ORGANIZATIONS: [usize; 2] = [1, 1000];
/// Callers that each wait for their record, as requests do.
const CALLERS: usize = 512;
/// Records of one round; a plain statement inserts as many as the recorder's largest batch.
const RECORDS: usize = 512 * 20;
const BATCH: usize = 512;
const ROUNDS: usize = 9;

const PLAIN: &str = "INSERT INTO audit_logs (tenant_id, writer, sequence, id, time, organization, actor, address, \
     user_agent, commitment_key, actor_commitment, address_commitment, user_agent_commitment, action, resource, \
     outcome, reason, request_id, previous_hash, hash, api_key, month, retention_days) \
     SELECT given.*, $22::integer, 365 FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[], \
     $6::text[], $7::text[], $8::text[], $9::text[], $10::bytea[], $11::bytea[], $12::bytea[], $13::bytea[], \
     $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::bytea[], $20::bytea[], $21::uuid[]) given";

/// Measures with one organization and with many.
pub(super) async fn measure(report: &mut Report) -> Result<()> {
    for organizations in ORGANIZATIONS {
        let rounds = TestDatabase::with(move |database| async move {
            store::migrate(&database.owner_url()).await?;
            let store = store::open(&database.gateway_url()).await?;
            let mut plain = database.connect(database.gateway_url()).await?;
            compare(organizations, store, &mut plain).await
        })
        .await?;
        let of = match organizations {
            1 => "1 organization".to_owned(),
            many => format!("{many} organizations"),
        };
        let plain = format!("audit records in a second, plain statement, {of}");
        report.add(&plain, rounds.baseline_rate(RECORDS), "", Bar::None);
        let ours = format!("audit records in a second, recorder, {of}");
        report.add(&ours, rounds.measured_rate(RECORDS), "", Bar::None);
        let ratio = format!("audit rate to the plain statement's, {of}");
        report.add(&ratio, rounds.ratio(), "×", Bar::AtLeast(RATE));
    }
    Ok(())
}

async fn compare(
    organizations: usize,
    store: Arc<dyn Store>,
    plain: &mut PgConnection,
) -> Result<Rounds> {
    let tenants: Arc<[TenantId]> = (0..organizations)
        .map(|_| TenantId(Uuid::new_v4()))
        .collect();
    let recorder = Recorder::start(store.clone()).await?;
    // Both warm, and every chain begun.
    ours(&recorder, &tenants).await?;
    theirs(plain, &sealed(&store, &tenants).await?).await?;
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        let rows = sealed(&store, &tenants).await?;
        let baseline = theirs(plain, &rows).await?;
        rounds.add(baseline, ours(&recorder, &tenants).await?);
    }
    recorder.close().await;
    Ok(rounds)
}

/// The recorder, from many callers, each of which waits for its record.
async fn ours(recorder: &Recorder, tenants: &Arc<[TenantId]>) -> Result<Duration> {
    let started = Instant::now();
    let callers = (0..CALLERS).map(|caller| {
        let (recorder, tenants) = (recorder.clone(), tenants.clone());
        tokio::spawn(async move {
            let context = Arc::new(context());
            for number in 0..RECORDS / CALLERS {
                let tenant = tenants[(caller + number * CALLERS) % tenants.len()];
                let (action, resource) = (Action::ToolCall, "notes/add_note".to_owned());
                recorder
                    .record(tenant, &context, action, resource, Outcome::Success, None)
                    .await?;
            }
            anyhow::Ok(())
        })
    });
    for caller in try_join_all(callers).await? {
        caller?;
    }
    Ok(started.elapsed())
}

/// Plain statements with rows that were made before the clock starts.
async fn theirs(connection: &mut PgConnection, rows: &[(TenantId, Record)]) -> Result<Duration> {
    let month = i32::try_from(Month::of(Timestamp::now()).number())?;
    let started = Instant::now();
    for batch in rows.chunks(BATCH) {
        connection
            .execute("BEGIN; SET LOCAL ROLE agentapi_worker")
            .await?;
        insert(connection, batch, month).await?;
        connection.execute("COMMIT").await?;
    }
    Ok(started.elapsed())
}

async fn insert(
    connection: &mut PgConnection,
    rows: &[(TenantId, Record)],
    month: i32,
) -> Result<()> {
    fn column<'r, T>(rows: &'r [(TenantId, Record)], value: impl Fn(&'r Record) -> T) -> Vec<T> {
        rows.iter().map(|(_, record)| value(record)).collect()
    }
    let bytes = |text: &String| hex::decode(text).unwrap_or_default();
    query(PLAIN)
        .bind(rows.iter().map(|(tenant, _)| tenant.0).collect::<Vec<_>>())
        .bind(column(rows, |row| row.writer))
        .bind(column(rows, |row| row.sequence.cast_signed()))
        .bind(column(rows, |row| row.id))
        .bind(column(rows, |row| row.time.as_microsecond()))
        .bind(column(rows, |row| row.organization.as_str()))
        .bind(column(rows, |row| row.actor.as_deref()))
        .bind(column(rows, |row| row.address.as_deref()))
        .bind(column(rows, |row| row.user_agent.as_deref()))
        .bind(column(rows, |row| row.commitment_key.as_ref().map(bytes)))
        .bind(column(rows, |row| bytes(&row.commitments[0])))
        .bind(column(rows, |row| bytes(&row.commitments[1])))
        .bind(column(rows, |row| bytes(&row.commitments[2])))
        .bind(column(rows, |row| row.action.name()))
        .bind(column(rows, |row| row.resource.as_str()))
        .bind(column(rows, |row| row.outcome.name()))
        .bind(column(rows, |row| row.reason.as_deref()))
        .bind(column(rows, |row| row.request_id.as_str()))
        .bind(column(rows, |row| bytes(&row.previous_hash)))
        .bind(column(rows, |row| bytes(&row.hash)))
        .bind(column(rows, |row| row.api_key))
        .bind(month)
        .execute(connection)
        .await?;
    Ok(())
}

/// A round's rows in chains of a new writer, whose first records are written already.
async fn sealed(store: &Arc<dyn Store>, tenants: &[TenantId]) -> Result<Vec<(TenantId, Record)>> {
    let writer = WriterId(Uuid::now_v7());
    let now = Timestamp::now();
    let partition = Partition {
        month: Month::of(now),
        retention_days: 365,
    };
    store.open_writer(writer, partition).await?;
    let mut heads = vec![Head::default(); tenants.len()];
    let mut next = |index: usize| -> Result<(TenantId, Record)> {
        let entry = Entry {
            context: Arc::new(context()),
            action: Action::ToolCall,
            resource: "notes/add_note".to_owned(),
            outcome: Outcome::Success,
            reason: None,
        };
        let stamp = Stamp {
            id: Uuid::now_v7(),
            time: now,
            key: *Uuid::new_v4().as_bytes(),
        };
        let head = heads.get_mut(index).context("a tenant")?;
        let record = head.seal(writer.0, stamp, &entry);
        *head = Head::after(&record);
        Ok((tenants[index], record))
    };
    let first = (0..tenants.len())
        .map(&mut next)
        .collect::<Result<Vec<_>>>()?;
    let first: Vec<_> = first
        .into_iter()
        .map(|(tenant, record)| store::AuditRow { tenant, record })
        .collect();
    store.append_audit(&first.into()).await?;
    (0..RECORDS)
        .map(|number| next(number % tenants.len()))
        .collect()
}

fn context() -> Context {
    Context {
        organization: "acme".to_owned(),
        actor: "alice".to_owned(),
        api_key: None,
        request_id: Uuid::new_v4().to_string(),
        address: "192.0.2.7".to_owned(),
        user_agent: "bench/1".to_owned(),
    }
}
