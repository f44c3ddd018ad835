//! The outbox.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::audit::{Sealed, audit_columns};
use super::{Engine, SqlStore, Transaction, Value, now, paged, start_of_list, timestamp};
use crate::domain::audit::Record;
use crate::store::{
    DeadLetter, Delivery, EventStore, Page, Paged, Settlement, StoreError, TenantId,
};

const DUE: &str = "SELECT DISTINCT tenant_id, sink FROM event_deliveries \
     WHERE dead_at IS NULL AND next_attempt_at <= $1";

/// The condition stands twice: who waited for another's transaction must find that
/// the row is taken.
const TAKE: &str = "UPDATE event_deliveries SET attempts = attempts + 1, next_attempt_at = $4 \
     WHERE tenant_id = $1 AND id IN ( \
       SELECT id FROM event_deliveries WHERE tenant_id = $1 AND sink = $2 AND dead_at IS NULL \
       AND next_attempt_at <= $3 ORDER BY next_attempt_at, id LIMIT $5) \
     AND dead_at IS NULL AND next_attempt_at <= $3 \
     RETURNING id, record_id, created_at, attempts";

const RECORD: &str = concat!(
    "SELECT ",
    audit_columns!(),
    " FROM audit_logs WHERE tenant_id = $1 AND id = $2"
);

const DELIVERED: &str = "DELETE FROM event_deliveries WHERE tenant_id = $1 AND id = $2 AND attempts = $3 AND dead_at IS NULL";

const AGAIN: &str = "UPDATE event_deliveries SET next_attempt_at = $4, last_error = $5 \
     WHERE tenant_id = $1 AND id = $2 AND attempts = $3 AND dead_at IS NULL";

const BURY: &str = "UPDATE event_deliveries SET dead_at = $4, last_error = $5 \
     WHERE tenant_id = $1 AND id = $2 AND attempts = $3 AND dead_at IS NULL";

const LIST_DEAD: &str = "SELECT id, sink, record_id, created_at, dead_at, attempts, last_error FROM event_deliveries \
     WHERE tenant_id = $1 AND id < $2 AND dead_at IS NOT NULL ORDER BY id DESC LIMIT $3";

const GET_DEAD: &str = "SELECT id, sink, record_id, created_at, dead_at, attempts, last_error FROM event_deliveries \
     WHERE tenant_id = $1 AND id = $2 AND dead_at IS NOT NULL";

const REPLAY: &str = "UPDATE event_deliveries SET dead_at = NULL, attempts = 0, next_attempt_at = $3 \
     WHERE tenant_id = $1 AND id = $2 AND dead_at IS NOT NULL";

const DISCARD: &str =
    "DELETE FROM event_deliveries WHERE tenant_id = $1 AND id = $2 AND dead_at IS NOT NULL";

/// Longest reason that is kept, in characters.
const LONGEST_ERROR: usize = 500;

#[derive(sqlx::FromRow)]
struct TakenRow {
    id: Uuid,
    record_id: Uuid,
    created_at: i64,
    attempts: i32,
}

#[derive(sqlx::FromRow)]
struct DeadRow {
    id: Uuid,
    sink: String,
    record_id: Uuid,
    created_at: i64,
    dead_at: i64,
    attempts: i32,
    last_error: Option<String>,
}

impl DeadRow {
    fn with(self, record: Option<Record>) -> Result<DeadLetter, StoreError> {
        Ok(DeadLetter {
            id: self.id,
            sink: self.sink,
            created_at: timestamp("dead letter", self.created_at)?,
            dead_at: timestamp("dead letter", self.dead_at)?,
            attempts: self.attempts.unsigned_abs(),
            last_error: self.last_error.unwrap_or_default(),
            record,
        })
    }
}

#[async_trait]
impl<E: Engine> EventStore for SqlStore<E> {
    async fn due_sinks(&self) -> Result<Vec<(TenantId, String)>, StoreError> {
        let mut transaction = self.engine.work().await?;
        let due: Vec<(Uuid, String)> = transaction.rows(DUE, &[now().into()]).await?;
        transaction.commit().await?;
        Ok(due
            .into_iter()
            .map(|(tenant, sink)| (TenantId(tenant), sink))
            .collect())
    }

    async fn take_deliveries(
        &self,
        tenant: TenantId,
        sink: &str,
        patience: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let now = now();
        let values = [
            tenant.into(),
            sink.into(),
            now.into(),
            after(now, patience).into(),
            i64::from(limit).into(),
        ];
        let mut transaction = self.engine.write(tenant).await?;
        let taken: Vec<TakenRow> = transaction.rows(TAKE, &values).await?;
        let mut deliveries = Vec::with_capacity(taken.len());
        for row in taken {
            deliveries.push(Delivery {
                id: row.id,
                attempts: row.attempts.unsigned_abs(),
                created_at: timestamp("event", row.created_at)?,
                record: record(&mut transaction, tenant, row.record_id).await?,
            });
        }
        transaction.commit().await?;
        deliveries.sort_by_key(|delivery| delivery.id);
        Ok(deliveries)
    }

    async fn settle_delivery(
        &self,
        tenant: TenantId,
        id: Uuid,
        attempts: u32,
        settlement: &Settlement,
    ) -> Result<bool, StoreError> {
        let now = now();
        let (statement, further) = match settlement {
            Settlement::Delivered => (DELIVERED, None),
            Settlement::Again { pause, error } => (AGAIN, Some((after(now, *pause), error))),
            Settlement::Dead { error } => (BURY, Some((now, error))),
        };
        let error = further.map(|(_, error)| shortened(error));
        let mut values: Vec<Value<'_>> = vec![tenant.into(), id.into(), i64::from(attempts).into()];
        if let (Some((time, _)), Some(error)) = (further, &error) {
            values.extend([Value::from(time), error.into()]);
        }
        let mut transaction = self.engine.write(tenant).await?;
        let settled = transaction.execute(statement, &values).await?;
        transaction.commit().await?;
        Ok(settled > 0)
    }

    async fn list_dead_letters(
        &self,
        tenant: TenantId,
        page: Page,
    ) -> Result<Paged<DeadLetter>, StoreError> {
        let values = [
            tenant.into(),
            start_of_list(page.after).into(),
            (i64::from(page.limit) + 1).into(),
        ];
        let mut transaction = self.engine.read(tenant).await?;
        let rows: Vec<DeadRow> = transaction.rows(LIST_DEAD, &values).await?;
        transaction.commit().await?;
        let letters = rows
            .into_iter()
            .map(|row| row.with(None))
            .collect::<Result<_, _>>()?;
        Ok(paged(letters, page.limit, |letter: &DeadLetter| letter.id))
    }

    async fn dead_letter(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<DeadLetter>, StoreError> {
        let mut transaction = self.engine.read(tenant).await?;
        let found: Option<DeadRow> = transaction
            .rows(GET_DEAD, &[tenant.into(), id.into()])
            .await?
            .pop();
        let Some(row) = found else {
            return Ok(None);
        };
        let record = record(&mut transaction, tenant, row.record_id).await?;
        transaction.commit().await?;
        row.with(record).map(Some)
    }

    async fn replay_dead_letter(&self, tenant: TenantId, id: Uuid) -> Result<bool, StoreError> {
        let values = [tenant.into(), id.into(), now().into()];
        let mut transaction = self.engine.write(tenant).await?;
        let replayed = transaction.execute(REPLAY, &values).await?;
        transaction.commit().await?;
        Ok(replayed > 0)
    }

    async fn discard_dead_letter(&self, tenant: TenantId, id: Uuid) -> Result<bool, StoreError> {
        let mut transaction = self.engine.write(tenant).await?;
        let values = [tenant.into(), id.into()];
        let discarded = transaction.execute(DISCARD, &values).await?;
        transaction.commit().await?;
        Ok(discarded > 0)
    }
}

async fn record(
    transaction: &mut impl Transaction,
    tenant: TenantId,
    id: Uuid,
) -> Result<Option<Record>, StoreError> {
    let found: Option<Sealed> = transaction
        .rows(RECORD, &[tenant.into(), id.into()])
        .await?
        .pop();
    found.map(Record::try_from).transpose()
}

fn after(now: i64, pause: Duration) -> i64 {
    now.saturating_add(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX))
}

/// Without what a database cannot hold, and no longer than a person reads.
fn shortened(error: &str) -> String {
    let readable = error.chars().filter(|character| *character != '\0');
    readable.take(LONGEST_ERROR).collect()
}
