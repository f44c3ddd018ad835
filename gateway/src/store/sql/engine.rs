//! What the statements need of a database.

use async_trait::async_trait;
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::Sealed;
use crate::domain::audit::Partition;
use crate::store::{NewDelivery, StoreError, TenantId, WriterId};

/// A database: connections, transactions, locks.
#[async_trait]
pub(in crate::store) trait Engine: Send + Sync + 'static {
    /// A transaction of this database.
    type Transaction: Transaction;

    /// Begins a transaction that reads rows of one tenant.
    async fn read(&self, tenant: TenantId) -> Result<Self::Transaction, StoreError>;

    /// Begins a transaction that writes rows of one tenant.
    async fn write(&self, tenant: TenantId) -> Result<Self::Transaction, StoreError>;

    /// Makes other transactions that lock the same user wait until this one ends.
    async fn lock_user(
        &self,
        transaction: &mut Self::Transaction,
        tenant: TenantId,
        user: &str,
    ) -> Result<(), StoreError>;

    /// The database's clock in a transaction, in microseconds since 1970: what
    /// leases of several replicas are compared by.
    async fn clock(&self, transaction: &mut Self::Transaction) -> Result<i64, StoreError>;

    /// Begins a transaction of a job that crosses tenants.
    async fn work(&self) -> Result<Self::Transaction, StoreError>;

    /// Begins a transaction of the worker that is confined to one tenant.
    async fn work_for(&self, tenant: TenantId) -> Result<Self::Transaction, StoreError>;

    /// Begins a transaction that appends audit records, and waits for nothing but others of its kind.
    async fn record(&self) -> Result<Self::Transaction, StoreError>;

    /// Adds audit records in a transaction of [`record`](Engine::record), begins the chains of
    /// first ones, and says that their writers live; returns how many were added: those of
    /// closed writers are not.
    async fn append_audit(
        &self,
        transaction: &mut Self::Transaction,
        rows: &[Sealed],
        writers: &[(WriterId, u32)],
        now: i64,
    ) -> Result<u64, StoreError>;

    /// Adds events to the outbox, in a transaction of [`record`](Engine::record).
    async fn add_deliveries(
        &self,
        transaction: &mut Self::Transaction,
        deliveries: &[NewDelivery],
        now: i64,
    ) -> Result<(), StoreError>;

    /// Makes a place for the records of a partition.
    async fn add_partition(
        &self,
        transaction: &mut Self::Transaction,
        partition: Partition,
    ) -> Result<(), StoreError>;

    /// Removes the records of a partition, and everything about their chains.
    async fn drop_partition(
        &self,
        transaction: &mut Self::Transaction,
        partition: Partition,
    ) -> Result<(), StoreError>;

    /// Erases the personal fields of an actor in a transaction of
    /// [`work_for`](Engine::work_for); returns of how many records.
    async fn erase_actor(
        &self,
        transaction: &mut Self::Transaction,
        tenant: TenantId,
        actor: &str,
    ) -> Result<u64, StoreError>;

    /// Removes a bounded number of rows of any tenants that have ended; returns how many.
    async fn sweep(&self, now: i64) -> Result<u64, StoreError>;

    /// One cheap round trip.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// A transaction; dropped without [`commit`](Transaction::commit) it is rolled back.
#[async_trait]
pub(in crate::store) trait Transaction: Send {
    /// All rows of a query.
    async fn rows<T: Stored>(
        &mut self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError>;

    /// Runs a statement; returns how many rows it touched.
    async fn execute(
        &mut self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError>;

    /// Makes the changes durable.
    async fn commit(self) -> Result<(), StoreError>;
}

/// A row that both databases can give.
pub(in crate::store) trait Stored:
    for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

impl<T> Stored for T where
    T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

/// A value bound to `$1`, `$2`, … of a statement.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum Value<'a> {
    /// An id.
    Uuid(Option<Uuid>),
    /// A text.
    Text(Option<&'a str>),
    /// A number, or a time in microseconds.
    Integer(i64),
    /// Raw bytes.
    Bytes(Option<&'a [u8]>),
    /// A JSON document, stored as text: PostgreSQL's own types refuse an escaped NUL or forget digits.
    Json(&'a serde_json::Value),
}

impl Value<'_> {
    /// Refuses what one of the databases cannot hold, so that both refuse the same.
    pub(in crate::store) fn check(values: &[Self]) -> Result<(), StoreError> {
        let has_nul = |value: &Self| matches!(value, Self::Text(Some(text)) if text.contains('\0'));
        if values.iter().any(has_nul) {
            Err(StoreError::NulCharacter)
        } else {
            Ok(())
        }
    }
}

impl From<TenantId> for Value<'_> {
    fn from(tenant: TenantId) -> Self {
        Self::Uuid(Some(tenant.0))
    }
}

impl From<Uuid> for Value<'_> {
    fn from(id: Uuid) -> Self {
        Self::Uuid(Some(id))
    }
}

impl From<Option<Uuid>> for Value<'_> {
    fn from(id: Option<Uuid>) -> Self {
        Self::Uuid(id)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl<'a> From<&'a serde_json::Value> for Value<'a> {
    fn from(document: &'a serde_json::Value) -> Self {
        Self::Json(document)
    }
}

/// Binds values to a query of either database: sqlx gives each its own type, but the same methods.
macro_rules! bind_all {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match *value {
                $crate::store::sql::Value::Uuid(id) => query.bind(id),
                $crate::store::sql::Value::Text(text) => query.bind(text),
                $crate::store::sql::Value::Integer(number) => query.bind(number),
                $crate::store::sql::Value::Bytes(bytes) => query.bind(bytes),
                $crate::store::sql::Value::Json(document) => query.bind(document.to_string()),
            };
        }
        query
    }};
}

pub(in crate::store) use bind_all;
