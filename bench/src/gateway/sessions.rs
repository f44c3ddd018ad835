//! Creating sessions, against the bare statements that this needs.
//!
//! The bare statements go through the driver alone, each caller with a connection
//! of its own and the tenant set; the store's go through its pool. Both are the
//! same number of callers at one time, into the same tables.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentapi_e2e::postgres::TestDatabase;
use agentapi_gateway::store::{self, NewSession, Store, TenantId};
use anyhow::Result;
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, query};
use uuid::Uuid;

use super::rounds::Rounds;
use crate::report::{Bar, Report};

/// At least this part of the bare statements' rate.
const RATE: f64 = 0.8;
const CALLERS: usize = 8;
const SESSIONS: usize = 200;
const ROUNDS: usize = 9;
const IDLE_MICROSECONDS: i64 = 1_800_000_000;
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// What creating a session needs, in its order: the organization's row, the
/// user's lock, room among the user's sessions, the session, its first event.
const ORGANIZATION: &str = "INSERT INTO organizations (tenant_id, created_at) VALUES ($1, $2) ON CONFLICT (tenant_id) DO NOTHING";
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
const REMOVE_ENDED: &str = "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2 \
     AND (expires_at <= $3 OR last_used_at + idle_timeout <= $3)";
const COUNT: &str = "SELECT count(*) FROM sessions WHERE tenant_id = $1 AND user_id = $2";
const SESSION: &str = "INSERT INTO sessions \
     (tenant_id, id, user_id, workspace, metadata, created_at, last_used_at, idle_timeout, expires_at, last_event) \
     VALUES ($1, $2, $3, 'default', '{}', $4, $4, $5, $6, 1)";
const EVENT: &str = "INSERT INTO session_events (tenant_id, session_id, sequence, time, kind, data) \
     VALUES ($1, $2, 1, $3, 'session.created', $4)";

/// Measures both in turns.
pub(super) async fn measure(report: &mut Report) -> Result<()> {
    let rounds = TestDatabase::with(|database| async move {
        store::migrate(&database.owner_url()).await?;
        let store = store::open(&database.gateway_url()).await?;
        let mut bare = Vec::new();
        for _ in 0..CALLERS {
            bare.push(database.connect(database.gateway_url()).await?);
        }
        compare(&store, &mut bare).await
    })
    .await?;
    let sessions = CALLERS * SESSIONS;
    let rate = rounds.baseline_rate(sessions);
    report.add(
        "sessions created in a second, bare statements",
        rate,
        "",
        Bar::None,
    );
    let rate = rounds.measured_rate(sessions);
    report.add("sessions created in a second, store", rate, "", Bar::None);
    let ratio = rounds.ratio();
    report.add(
        "session rate to the bare statements'",
        ratio,
        "×",
        Bar::AtLeast(RATE),
    );
    Ok(())
}

async fn compare(store: &Arc<dyn Store>, bare: &mut [PgConnection]) -> Result<Rounds> {
    let tenant = TenantId(Uuid::new_v4());
    // Both warm: statements prepared, connections open, the organization there.
    theirs(bare, tenant).await?;
    ours(store, tenant).await?;
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        let baseline = theirs(bare, tenant).await?;
        rounds.add(baseline, ours(store, tenant).await?);
    }
    Ok(rounds)
}

async fn ours(store: &Arc<dyn Store>, tenant: TenantId) -> Result<Duration> {
    let started = Instant::now();
    try_join_all((0..CALLERS).map(async |_| {
        // A user each round, so that every round finds as many sessions: none.
        let user = Uuid::new_v4().to_string();
        for _ in 0..SESSIONS {
            let new = NewSession {
                user: user.clone(),
                workspace: "default".to_owned(),
                metadata: serde_json::json!({}),
                expires_at: Timestamp::now() + LIFETIME,
                idle_timeout_seconds: 1800,
                max_per_user: 1000,
            };
            store.create_session(tenant, new).await?;
        }
        anyhow::Ok(())
    }))
    .await?;
    Ok(started.elapsed())
}

async fn theirs(connections: &mut [PgConnection], tenant: TenantId) -> Result<Duration> {
    let started = Instant::now();
    try_join_all(connections.iter_mut().map(async |connection| {
        let user = Uuid::new_v4().to_string();
        for _ in 0..SESSIONS {
            create(connection, tenant, &user).await?;
        }
        anyhow::Ok(())
    }))
    .await?;
    Ok(started.elapsed())
}

async fn create(connection: &mut PgConnection, tenant: TenantId, user: &str) -> Result<()> {
    let now = Timestamp::now();
    let (now, ends) = (now.as_microsecond(), (now + LIFETIME).as_microsecond());
    let (tenant, id) = (tenant.0, Uuid::now_v7());
    let begin = format!("BEGIN READ WRITE; SET LOCAL agentapi.tenant = '{tenant}'");
    connection.execute(AssertSqlSafe(begin)).await?;
    query(ORGANIZATION)
        .bind(tenant)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    query(LOCK)
        .bind(format!("{tenant}/{user}"))
        .execute(&mut *connection)
        .await?;
    query(REMOVE_ENDED)
        .bind(tenant)
        .bind(user)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    query(COUNT)
        .bind(tenant)
        .bind(user)
        .fetch_one(&mut *connection)
        .await?;
    query(SESSION)
        .bind(tenant)
        .bind(id)
        .bind(user)
        .bind(now)
        .bind(IDLE_MICROSECONDS)
        .bind(ends)
        .execute(&mut *connection)
        .await?;
    query(EVENT)
        .bind(tenant)
        .bind(id)
        .bind(now)
        .bind(format!(r#"{{"by":"{user}"}}"#))
        .execute(&mut *connection)
        .await?;
    connection.execute("COMMIT").await?;
    Ok(())
}
