//! PostgreSQL: the database of an installation, for any number of replicas.

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, query, query_as, query_scalar};

use super::migrate::{POSTGRES, latest};
use super::sql::{Engine, Sealed, Stored, Transaction, Value, audit_columns, begun, bind_all};
use super::{NewDelivery, StoreError, TenantId, WriterId};
use crate::domain::audit::Partition;

/// One statement for a whole batch, which also says that its writers live and
/// begins the chains that are new; COPY is refused on tables with row-level security.
/// Closing a writer changes the same row of `audit_writers`: either it waits for
/// this batch, or this one finds it closed.
const INSERT_RECORDS: &str = concat!(
    "WITH open AS ( \
       UPDATE audit_writers SET seen_at = $22, may_lack = given.may_lack \
       FROM unnest($23::uuid[], $24::integer[]) AS given (id, may_lack) \
       WHERE audit_writers.id = given.id AND closed_at IS NULL \
       RETURNING audit_writers.id, month, retention_days), \
     begun AS ( \
       INSERT INTO audit_chains (tenant_id, writer, month, retention_days) \
       SELECT given.tenant_id, open.id, open.month, open.retention_days \
       FROM unnest($25::uuid[], $26::uuid[]) AS given (tenant_id, writer) JOIN open ON open.id = given.writer) \
     INSERT INTO audit_logs (",
    audit_columns!(),
    ", month, retention_days) SELECT given.*, open.month, open.retention_days \
     FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[], $6::text[], \
     $7::text[], $8::text[], $9::text[], $10::bytea[], $11::bytea[], $12::bytea[], $13::bytea[], $14::text[], \
     $15::text[], $16::text[], $17::text[], $18::text[], $19::bytea[], $20::bytea[], $21::uuid[]) \
     AS given (tenant_id, writer) JOIN open ON open.id = given.writer"
);

const INSERT_DELIVERIES: &str = "INSERT INTO event_deliveries \
     (tenant_id, id, sink, record_id, created_at, next_attempt_at) \
     SELECT given.*, $5, $5 FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[]) given";

const ADD_PARTITION: &str = "SELECT audit_add_partition($1::integer, $2::integer)";
const DROP_PARTITION: &str = "SELECT audit_drop_partition($1::integer, $2::integer)";
const ERASE: &str = "SELECT audit_erase($1)";

/// Held to the end of the transaction. A collision of hashes makes two users
/// wait for each other, nothing worse.
const LOCK_USER: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";

/// When the transaction began.
const CLOCK: &str = "SELECT now_in_microseconds()";

/// One replica sweeps at a time; the others need not wait.
const TAKE_THE_BROOM: &str =
    "SELECT pg_try_advisory_xact_lock(hashtextextended('agentapi.sweep', 0))";

/// Rows that have ended, as the worker, who sees no others.
const SWEEP: [&str; 7] = [
    "DELETE FROM sessions WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM sessions \
     WHERE least(expires_at, last_used_at + idle_timeout) <= $1 LIMIT 500)",
    "DELETE FROM mcp_sessions WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM mcp_sessions \
     WHERE expires_at <= $1 LIMIT 500)",
    "DELETE FROM api_keys WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM api_keys \
     WHERE expires_at <= $1 LIMIT 500)",
    "DELETE FROM idempotency_keys WHERE (tenant_id, user_id, operation, key) IN \
     (SELECT tenant_id, user_id, operation, key FROM idempotency_keys WHERE expires_at <= $1 LIMIT 500)",
    "DELETE FROM event_deliveries WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM event_deliveries \
     WHERE dead_at <= $1 - 30 * 86400000000 LIMIT 500)",
    "DELETE FROM oauth_authorizations WHERE (tenant_id, id) IN \
     (SELECT tenant_id, id FROM oauth_authorizations WHERE expires_at <= $1 LIMIT 500)",
    "DELETE FROM browser_sessions WHERE (tenant_id, id) IN \
     (SELECT tenant_id, id FROM browser_sessions WHERE expires_at <= $1 LIMIT 500)",
];

/// The roles that this connection is or may become again by `RESET ROLE`.
const ROLES: &str = "SELECT rolname::text, rolsuper, rolbypassrls, \
       EXISTS (SELECT FROM pg_class WHERE relname = 'audit_logs' AND pg_has_role(pg_roles.oid, relowner, 'MEMBER')) \
     FROM pg_roles WHERE rolname IN (current_user, session_user)";

const SCHEMA_VERSION: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";

const SERVER_SETTINGS: [(&str, &str); 3] = [
    ("statement_timeout", "10s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "30s"),
];

const CONNECTIONS: u32 = 16;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A PostgreSQL database with row-level security.
pub(super) struct Postgres {
    requests: PgPool,
    /// Apart from requests, so that however many of them wait, records are
    /// written. One connection: there is one batch at a time.
    records: PgPool,
}

impl Postgres {
    /// Connects, and refuses a role that row-level security does not bind and a schema that is too old.
    pub(super) async fn open(url: &SecretString) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url.expose_secret())
            .map_err(StoreError::Url)?
            .application_name("agentapi-gateway")
            .options(SERVER_SETTINGS)
            .disable_statement_logging();
        let pool = PgPoolOptions::new().acquire_timeout(CONNECT_TIMEOUT);
        let requests = pool
            .clone()
            .max_connections(CONNECTIONS)
            .connect_with(options.clone())
            .await?;
        refuse_privileged_role(&requests).await?;
        refuse_old_schema(&requests).await?;
        let records = pool.max_connections(1).connect_lazy_with(options);
        Ok(Self { requests, records })
    }

    async fn begin(
        &self,
        tenant: TenantId,
        mode: &'static str,
    ) -> Result<PgTransaction, StoreError> {
        // A UUID prints as hexadecimal digits and hyphens only.
        let begin = format!(
            "BEGIN {mode}; SET LOCAL agentapi.tenant = '{}'",
            tenant.0.hyphenated()
        );
        Ok(self.requests.begin_with(AssertSqlSafe(begin)).await?)
    }
}

async fn refuse_privileged_role(pool: &PgPool) -> Result<(), StoreError> {
    let roles: Vec<(String, bool, bool, bool)> = query_as(ROLES).fetch_all(pool).await?;
    for (role, superuser, bypasses, owner) in roles {
        let why = match (superuser, bypasses, owner) {
            (true, ..) => "is a superuser, whom row-level security does not bind",
            (_, true, _) => "has BYPASSRLS, so row-level security does not bind it",
            (.., true) => {
                "owns the tables, or may become their owner, and could lift their row-level security"
            }
            _ => continue,
        };
        return Err(StoreError::PrivilegedRole { role, why });
    }
    Ok(())
}

async fn refuse_old_schema(pool: &PgPool) -> Result<(), StoreError> {
    const UNDEFINED_TABLE: &str = "42P01";
    let needed = latest(&POSTGRES);
    let found: i64 = match query_scalar(SCHEMA_VERSION).fetch_one(pool).await {
        Ok(version) => version,
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => 0,
        Err(error) => return Err(error.into()),
    };
    if found < needed {
        Err(StoreError::SchemaOutdated { found, needed })
    } else {
        Ok(())
    }
}

type PgTransaction = sqlx::Transaction<'static, sqlx::Postgres>;

#[async_trait]
impl Engine for Postgres {
    type Transaction = PgTransaction;

    async fn read(&self, tenant: TenantId) -> Result<PgTransaction, StoreError> {
        self.begin(tenant, "READ ONLY").await
    }

    async fn write(&self, tenant: TenantId) -> Result<PgTransaction, StoreError> {
        self.begin(tenant, "READ WRITE").await
    }

    async fn lock_user(
        &self,
        transaction: &mut PgTransaction,
        tenant: TenantId,
        user: &str,
    ) -> Result<(), StoreError> {
        let key = format!("{}/{user}", tenant.0);
        Transaction::execute(transaction, LOCK_USER, &[(&key).into()]).await?;
        Ok(())
    }

    async fn clock(&self, transaction: &mut PgTransaction) -> Result<i64, StoreError> {
        Ok(query_scalar(CLOCK).fetch_one(&mut **transaction).await?)
    }

    async fn work(&self) -> Result<PgTransaction, StoreError> {
        let begin = "BEGIN; SET LOCAL ROLE agentapi_worker";
        Ok(self.requests.begin_with(begin).await?)
    }

    async fn work_for(&self, tenant: TenantId) -> Result<PgTransaction, StoreError> {
        self.begin(tenant, "READ WRITE; SET LOCAL ROLE agentapi_worker")
            .await
    }

    async fn record(&self) -> Result<PgTransaction, StoreError> {
        let begin = "BEGIN; SET LOCAL ROLE agentapi_worker";
        Ok(self.records.begin_with(begin).await?)
    }

    async fn append_audit(
        &self,
        transaction: &mut PgTransaction,
        rows: &[Sealed],
        writers: &[(WriterId, u32)],
        now: i64,
    ) -> Result<u64, StoreError> {
        let ids: Vec<_> = writers.iter().map(|(writer, _)| writer.0).collect();
        let may_lack: Vec<_> = writers.iter().map(|(_, may)| may.cast_signed()).collect();
        let (tenants, of): (Vec<_>, Vec<_>) = begun(rows).unzip();
        let added = query(INSERT_RECORDS)
            .bind(column(rows, |row| row.tenant_id))
            .bind(column(rows, |row| row.writer))
            .bind(column(rows, |row| row.sequence))
            .bind(column(rows, |row| row.id))
            .bind(column(rows, |row| row.time))
            .bind(column(rows, |row| row.organization.as_str()))
            .bind(column(rows, |row| row.actor.as_deref()))
            .bind(column(rows, |row| row.address.as_deref()))
            .bind(column(rows, |row| row.user_agent.as_deref()))
            .bind(column(rows, |row| row.commitment_key.as_deref()))
            .bind(column(rows, |row| row.actor_commitment.as_slice()))
            .bind(column(rows, |row| row.address_commitment.as_slice()))
            .bind(column(rows, |row| row.user_agent_commitment.as_slice()))
            .bind(column(rows, |row| row.action.as_str()))
            .bind(column(rows, |row| row.resource.as_str()))
            .bind(column(rows, |row| row.outcome.as_str()))
            .bind(column(rows, |row| row.reason.as_deref()))
            .bind(column(rows, |row| row.request_id.as_str()))
            .bind(column(rows, |row| row.previous_hash.as_slice()))
            .bind(column(rows, |row| row.hash.as_slice()))
            .bind(column(rows, |row| row.api_key))
            .bind(now)
            .bind(ids)
            .bind(may_lack)
            .bind(tenants)
            .bind(of)
            .execute(&mut **transaction)
            .await?;
        Ok(added.rows_affected())
    }

    async fn add_deliveries(
        &self,
        transaction: &mut PgTransaction,
        deliveries: &[NewDelivery],
        now: i64,
    ) -> Result<(), StoreError> {
        query(INSERT_DELIVERIES)
            .bind(column(deliveries, |event| event.tenant.0))
            .bind(column(deliveries, |event| event.id))
            .bind(column(deliveries, |event| &*event.sink))
            .bind(column(deliveries, |event| event.record))
            .bind(now)
            .execute(&mut **transaction)
            .await?;
        Ok(())
    }

    async fn add_partition(
        &self,
        transaction: &mut PgTransaction,
        partition: Partition,
    ) -> Result<(), StoreError> {
        Transaction::execute(transaction, ADD_PARTITION, &numbers(partition)).await?;
        Ok(())
    }

    async fn drop_partition(
        &self,
        transaction: &mut PgTransaction,
        partition: Partition,
    ) -> Result<(), StoreError> {
        Transaction::execute(transaction, DROP_PARTITION, &numbers(partition)).await?;
        Ok(())
    }

    async fn erase_actor(
        &self,
        transaction: &mut PgTransaction,
        _: TenantId,
        actor: &str,
    ) -> Result<u64, StoreError> {
        let erased: Vec<(i64,)> = transaction.rows(ERASE, &[actor.into()]).await?;
        Ok(erased.first().map_or(0, |(count,)| count.unsigned_abs()))
    }

    async fn sweep(&self, now: i64) -> Result<u64, StoreError> {
        let mut transaction = self
            .requests
            .begin_with("BEGIN; SET LOCAL ROLE agentapi_worker")
            .await?;
        let alone: bool = query_scalar(TAKE_THE_BROOM)
            .fetch_one(&mut *transaction)
            .await?;
        if !alone {
            return Ok(0);
        }
        let mut removed = 0;
        for statement in SWEEP {
            removed += transaction.execute(statement, &[now.into()]).await?;
        }
        Transaction::commit(transaction).await?;
        Ok(removed)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        query("SELECT 1").execute(&self.requests).await?;
        Ok(())
    }
}

#[async_trait]
impl Transaction for PgTransaction {
    async fn rows<T: Stored>(
        &mut self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        Value::check(values)?;
        Ok(bind_all!(query_as(statement), values)
            .fetch_all(&mut **self)
            .await?)
    }

    async fn execute(
        &mut self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        Value::check(values)?;
        Ok(bind_all!(query(statement), values)
            .execute(&mut **self)
            .await?
            .rows_affected())
    }

    async fn commit(self) -> Result<(), StoreError> {
        sqlx::Transaction::commit(self)
            .await
            .map_err(StoreError::of_commit)
    }
}

fn numbers(partition: Partition) -> [Value<'static>; 2] {
    [
        i64::from(partition.month.number()).into(),
        i64::from(partition.retention_days).into(),
    ]
}

fn column<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
