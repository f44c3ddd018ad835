//! SQLite: the embedded mode's database, for one process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, query, query_as};

use super::migrate::SQLITE;
use super::sql::{Engine, Sealed, Stored, Transaction, Value, audit_columns, begun, bind_all, now};
use super::{NewDelivery, StoreError, TenantId, WriterId};
use crate::domain::audit::Partition;

const INSERT_RECORD: &str = concat!(
    "INSERT INTO audit_logs (",
    audit_columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)"
);

const INSERT_DELIVERY: &str = "INSERT INTO event_deliveries \
     (tenant_id, id, sink, record_id, created_at, next_attempt_at) VALUES ($1, $2, $3, $4, $5, $5)";

/// The partition of a chain is that of its writer.
const ADD_CHAIN: &str = "INSERT INTO audit_chains (tenant_id, writer, month, retention_days) \
     SELECT $1, id, month, retention_days FROM audit_writers WHERE id = $2";

/// Rows that have ended, of all tenants.
const SWEEP: [&str; 7] = [
    "DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions \
     WHERE min(expires_at, last_used_at + idle_timeout) <= $1 LIMIT 500)",
    "DELETE FROM mcp_sessions WHERE rowid IN (SELECT rowid FROM mcp_sessions WHERE expires_at <= $1 LIMIT 500)",
    "DELETE FROM api_keys WHERE rowid IN (SELECT rowid FROM api_keys WHERE expires_at <= $1 LIMIT 500)",
    "DELETE FROM idempotency_keys WHERE rowid IN \
     (SELECT rowid FROM idempotency_keys WHERE expires_at <= $1 LIMIT 500)",
    "DELETE FROM event_deliveries WHERE rowid IN \
     (SELECT rowid FROM event_deliveries WHERE dead_at <= $1 - 30 * 86400000000 LIMIT 500)",
    "DELETE FROM oauth_authorizations WHERE rowid IN \
     (SELECT rowid FROM oauth_authorizations WHERE expires_at <= $1 LIMIT 500)",
    "DELETE FROM browser_sessions WHERE rowid IN \
     (SELECT rowid FROM browser_sessions WHERE expires_at <= $1 LIMIT 500)",
];
/// Nothing is inserted for a closed writer, as in PostgreSQL.
const RENEW_WRITER: &str =
    "UPDATE audit_writers SET seen_at = $2, may_lack = $3 WHERE id = $1 AND closed_at IS NULL";

const DROP_RECORDS: &str = "DELETE FROM audit_logs WHERE (tenant_id, writer) IN ( \
     SELECT tenant_id, writer FROM audit_chains WHERE month = $1 AND retention_days = $2)";

/// What the checkpoints before say is said again by the one that states the drop.
const DROP_CHECKPOINTS: &str = "DELETE FROM audit_checkpoints WHERE number < ( \
     SELECT max(dropped_in) FROM audit_chains \
     WHERE month = $1 AND retention_days = $2 AND tenant_id = audit_checkpoints.tenant_id)";

const DROP_CHAINS: &str = "DELETE FROM audit_chains WHERE month = $1 AND retention_days = $2";

const DROP_WRITERS: &str = "DELETE FROM audit_writers WHERE month = $1 AND retention_days = $2";

const ERASE: &str = "UPDATE audit_logs SET actor = NULL, address = NULL, user_agent = NULL, \
     commitment_key = NULL WHERE tenant_id = $1 AND actor = $2";

/// Connections that read while the one writer writes.
const READERS: u32 = 4;

/// A SQLite database that this process alone has open.
pub(super) struct Sqlite {
    /// The one connection that writes: SQLite has one writer at a time, and a
    /// queue in front of it is fairer than `SQLITE_BUSY`.
    writer: SqlitePool,
    readers: SqlitePool,
    /// Held as long as the database is open; released by the system when the process dies.
    _lock: Option<File>,
}

impl Sqlite {
    /// Opens `sqlite:PATH` or `sqlite::memory:`, and brings its schema up to date.
    pub(super) async fn open(url: &SecretString) -> Result<Self, StoreError> {
        let url = url.expose_secret();
        let in_memory = url.contains(":memory:") || url.contains("mode=memory");
        let options = SqliteConnectOptions::from_str(url)
            .map_err(StoreError::Url)?
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What is acknowledged survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .disable_statement_logging();
        let lock = if in_memory {
            None
        } else {
            Some(lock(options.get_filename())?)
        };

        // A database in memory lives as long as its one connection.
        let pool = SqlitePoolOptions::new()
            .idle_timeout(None)
            .max_lifetime(None);
        let writer = pool
            .clone()
            .max_connections(1)
            .connect_with(options.clone())
            .await?;
        SQLITE
            .run(&writer)
            .await
            .map_err(|error| StoreError::Migration(Box::new(error)))?;
        let readers = if in_memory {
            writer.clone()
        } else {
            pool.max_connections(READERS)
                .connect_lazy_with(options.pragma("query_only", "on"))
        };
        Ok(Self {
            writer,
            readers,
            _lock: lock,
        })
    }
}

/// Takes the lock beside the database. A file of its own: closing any handle of
/// the database file itself would release SQLite's own locks in this process.
fn lock(database: &Path) -> Result<File, StoreError> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = match File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
    {
        Ok(file) => file,
        Err(source) => return Err(StoreError::Lock { path, source }),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse {
            path: database.to_owned(),
        }),
        Err(std::fs::TryLockError::Error(source)) => Err(StoreError::Lock { path, source }),
    }
}

type SqliteTransaction = sqlx::Transaction<'static, sqlx::Sqlite>;

#[async_trait]
impl Engine for Sqlite {
    type Transaction = SqliteTransaction;

    async fn read(&self, _tenant: TenantId) -> Result<SqliteTransaction, StoreError> {
        Ok(self.readers.begin().await?)
    }

    async fn write(&self, _tenant: TenantId) -> Result<SqliteTransaction, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// There is one writing transaction at a time already.
    async fn lock_user(
        &self,
        _: &mut SqliteTransaction,
        _: TenantId,
        _: &str,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    /// The process's own: there is no other.
    async fn clock(&self, _: &mut SqliteTransaction) -> Result<i64, StoreError> {
        Ok(now())
    }

    async fn work(&self) -> Result<SqliteTransaction, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn work_for(&self, _: TenantId) -> Result<SqliteTransaction, StoreError> {
        self.work().await
    }

    async fn record(&self) -> Result<SqliteTransaction, StoreError> {
        self.work().await
    }

    async fn append_audit(
        &self,
        transaction: &mut SqliteTransaction,
        rows: &[Sealed],
        writers: &[(WriterId, u32)],
        now: i64,
    ) -> Result<u64, StoreError> {
        for (writer, may_lack) in writers {
            let values = [writer.0.into(), now.into(), i64::from(*may_lack).into()];
            if Transaction::execute(transaction, RENEW_WRITER, &values).await? == 0 {
                return Ok(0);
            }
        }
        for (tenant, writer) in begun(rows) {
            Transaction::execute(transaction, ADD_CHAIN, &[tenant.into(), writer.into()]).await?;
        }
        for row in rows {
            Transaction::execute(transaction, INSERT_RECORD, &values(row)).await?;
        }
        Ok(rows.len() as u64)
    }

    async fn add_deliveries(
        &self,
        transaction: &mut SqliteTransaction,
        deliveries: &[NewDelivery],
        now: i64,
    ) -> Result<(), StoreError> {
        for event in deliveries {
            let values = [
                event.tenant.into(),
                event.id.into(),
                Value::Text(Some(&event.sink)),
                event.record.into(),
                now.into(),
            ];
            Transaction::execute(transaction, INSERT_DELIVERY, &values).await?;
        }
        Ok(())
    }

    /// All records are in one table.
    async fn add_partition(
        &self,
        _: &mut SqliteTransaction,
        _: Partition,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn drop_partition(
        &self,
        transaction: &mut SqliteTransaction,
        partition: Partition,
    ) -> Result<(), StoreError> {
        let values = [
            i64::from(partition.month.number()).into(),
            i64::from(partition.retention_days).into(),
        ];
        for statement in [DROP_RECORDS, DROP_CHECKPOINTS, DROP_CHAINS, DROP_WRITERS] {
            Transaction::execute(transaction, statement, &values).await?;
        }
        Ok(())
    }

    async fn erase_actor(
        &self,
        transaction: &mut SqliteTransaction,
        tenant: TenantId,
        actor: &str,
    ) -> Result<u64, StoreError> {
        Transaction::execute(transaction, ERASE, &[tenant.into(), actor.into()]).await
    }

    async fn sweep(&self, now: i64) -> Result<u64, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut removed = 0;
        for statement in SWEEP {
            removed += transaction.execute(statement, &[now.into()]).await?;
        }
        Transaction::commit(transaction).await?;
        Ok(removed)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        query("SELECT 1").execute(&self.readers).await?;
        Ok(())
    }
}

#[async_trait]
impl Transaction for SqliteTransaction {
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

/// The values of a record in the order of its columns.
fn values(row: &Sealed) -> [Value<'_>; 21] {
    [
        row.tenant_id.into(),
        row.writer.into(),
        row.sequence.into(),
        row.id.into(),
        row.time.into(),
        (&row.organization).into(),
        row.actor.as_deref().into(),
        row.address.as_deref().into(),
        row.user_agent.as_deref().into(),
        Value::Bytes(row.commitment_key.as_deref()),
        Value::Bytes(Some(&row.actor_commitment)),
        Value::Bytes(Some(&row.address_commitment)),
        Value::Bytes(Some(&row.user_agent_commitment)),
        (&row.action).into(),
        (&row.resource).into(),
        (&row.outcome).into(),
        row.reason.as_deref().into(),
        (&row.request_id).into(),
        Value::Bytes(Some(&row.previous_hash)),
        Value::Bytes(Some(&row.hash)),
        row.api_key.into(),
    ]
}
