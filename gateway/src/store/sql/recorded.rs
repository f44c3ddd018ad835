//! A database whose calls on behalf of tenants can be read back: what a test
//! compares, besides answers, to see that two requests cannot be told apart.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::{Engine, Sealed, Stored, Transaction, Value};
use crate::domain::audit::Partition;
use crate::store::{NewDelivery, StoreError, TenantId, WriterId};

/// What was asked of the database, in order. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    /// All calls since the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn note(&self, call: impl Into<String>) {
        self.0.lock().unwrap().push(call.into());
    }
}

/// An engine that notes what is asked of it: statements and locks of tenants, and
/// records. Jobs that cross tenants come when they like, and are not noted.
pub(crate) struct Recorded<E> {
    engine: E,
    calls: Calls,
}

impl<E> Recorded<E> {
    /// Notes into `calls`.
    pub(crate) fn new(engine: E, calls: Calls) -> Self {
        Self { engine, calls }
    }

    fn noted<T>(&self, begin: &str, transaction: T) -> Noted<T> {
        self.calls.note(begin);
        Noted {
            transaction,
            calls: Some(self.calls.clone()),
        }
    }
}

/// A transaction that notes its statements, or not.
pub(crate) struct Noted<T> {
    transaction: T,
    calls: Option<Calls>,
}

impl<T> Noted<T> {
    fn silent(transaction: T) -> Self {
        Self {
            transaction,
            calls: None,
        }
    }

    fn note(&self, call: impl Into<String>) {
        if let Some(calls) = &self.calls {
            calls.note(call);
        }
    }
}

#[async_trait]
impl<E: Engine> Engine for Recorded<E> {
    type Transaction = Noted<E::Transaction>;

    async fn read(&self, tenant: TenantId) -> Result<Self::Transaction, StoreError> {
        Ok(self.noted("read", self.engine.read(tenant).await?))
    }

    async fn write(&self, tenant: TenantId) -> Result<Self::Transaction, StoreError> {
        Ok(self.noted("write", self.engine.write(tenant).await?))
    }

    async fn lock_user(
        &self,
        transaction: &mut Self::Transaction,
        tenant: TenantId,
        user: &str,
    ) -> Result<(), StoreError> {
        transaction.note("lock user");
        let inner = &mut transaction.transaction;
        self.engine.lock_user(inner, tenant, user).await
    }

    async fn clock(&self, transaction: &mut Self::Transaction) -> Result<i64, StoreError> {
        self.engine.clock(&mut transaction.transaction).await
    }

    async fn work(&self) -> Result<Self::Transaction, StoreError> {
        Ok(Noted::silent(self.engine.work().await?))
    }

    async fn work_for(&self, tenant: TenantId) -> Result<Self::Transaction, StoreError> {
        Ok(self.noted("work", self.engine.work_for(tenant).await?))
    }

    async fn record(&self) -> Result<Self::Transaction, StoreError> {
        Ok(Noted::silent(self.engine.record().await?))
    }

    async fn append_audit(
        &self,
        transaction: &mut Self::Transaction,
        rows: &[Sealed],
        writers: &[(WriterId, u32)],
        now: i64,
    ) -> Result<u64, StoreError> {
        for row in rows {
            let Sealed {
                action,
                outcome,
                reason,
                ..
            } = row;
            self.calls
                .note(format!("record {action} {outcome} {reason:?}"));
        }
        let inner = &mut transaction.transaction;
        self.engine.append_audit(inner, rows, writers, now).await
    }

    async fn add_deliveries(
        &self,
        transaction: &mut Self::Transaction,
        deliveries: &[NewDelivery],
        now: i64,
    ) -> Result<(), StoreError> {
        let inner = &mut transaction.transaction;
        self.engine.add_deliveries(inner, deliveries, now).await
    }

    async fn add_partition(
        &self,
        transaction: &mut Self::Transaction,
        partition: Partition,
    ) -> Result<(), StoreError> {
        let inner = &mut transaction.transaction;
        self.engine.add_partition(inner, partition).await
    }

    async fn drop_partition(
        &self,
        transaction: &mut Self::Transaction,
        partition: Partition,
    ) -> Result<(), StoreError> {
        let inner = &mut transaction.transaction;
        self.engine.drop_partition(inner, partition).await
    }

    async fn erase_actor(
        &self,
        transaction: &mut Self::Transaction,
        tenant: TenantId,
        actor: &str,
    ) -> Result<u64, StoreError> {
        transaction.note("erase actor");
        let inner = &mut transaction.transaction;
        self.engine.erase_actor(inner, tenant, actor).await
    }

    async fn sweep(&self, now: i64) -> Result<u64, StoreError> {
        self.engine.sweep(now).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.engine.ping().await
    }
}

#[async_trait]
impl<T: Transaction> Transaction for Noted<T> {
    async fn rows<R: Stored>(
        &mut self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<R>, StoreError> {
        self.note(statement);
        self.transaction.rows(statement, values).await
    }

    async fn execute(
        &mut self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        self.note(statement);
        self.transaction.execute(statement, values).await
    }

    async fn commit(self) -> Result<(), StoreError> {
        self.note("commit");
        self.transaction.commit().await
    }
}
