//! Rows of the audit record.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Engine, SqlStore, Transaction, now, paged, start_of_list, timestamp};
use crate::domain::audit::{Partition, Record};
use crate::store::{
    AuditBatch, AuditFilter, AuditRow, AuditStore, Page, Paged, StoreError, TenantId, WriterId,
};

/// The columns of a record, in the order in which [`Sealed`] holds them.
macro_rules! audit_columns {
    () => {
        "tenant_id, writer, sequence, id, time, organization, actor, address, user_agent, commitment_key, \
         actor_commitment, address_commitment, user_agent_commitment, action, resource, outcome, reason, \
         request_id, previous_hash, hash, api_key"
    };
}

pub(in crate::store) use audit_columns;

const PAGE: &str = concat!(
    "SELECT ",
    audit_columns!(),
    " FROM audit_logs WHERE tenant_id = $1 AND id < $2 AND id >= $3 \
     AND time >= $4 AND time < $5 AND ($6 IS NULL OR action = $6) AND ($7 IS NULL OR actor = $7) \
     AND ($8 IS NULL OR resource = $8) AND ($9 IS NULL OR outcome = $9) \
     AND ($10 IS NULL OR api_key = $10) ORDER BY id DESC LIMIT $11"
);

const OPEN_WRITER: &str = "INSERT INTO audit_writers (id, opened_at, seen_at, month, retention_days) \
     VALUES ($1, $2, $2, $3, $4)";

const WRITERS: &str = "SELECT writer FROM audit_chains WHERE tenant_id = $1 ORDER BY writer";

const CHAIN: &str = concat!(
    "SELECT ",
    audit_columns!(),
    " FROM audit_logs WHERE tenant_id = $1 AND writer = $2 AND sequence > $3 ORDER BY sequence LIMIT $4"
);

/// A record as it is stored: hashes as bytes, which are half as long.
#[derive(sqlx::FromRow)]
pub(in crate::store) struct Sealed {
    pub(in crate::store) tenant_id: Uuid,
    pub(in crate::store) writer: Uuid,
    pub(in crate::store) sequence: i64,
    pub(in crate::store) id: Uuid,
    pub(in crate::store) time: i64,
    pub(in crate::store) organization: String,
    pub(in crate::store) actor: Option<String>,
    pub(in crate::store) address: Option<String>,
    pub(in crate::store) user_agent: Option<String>,
    pub(in crate::store) commitment_key: Option<Vec<u8>>,
    pub(in crate::store) actor_commitment: Vec<u8>,
    pub(in crate::store) address_commitment: Vec<u8>,
    pub(in crate::store) user_agent_commitment: Vec<u8>,
    pub(in crate::store) action: String,
    pub(in crate::store) resource: String,
    pub(in crate::store) outcome: String,
    pub(in crate::store) reason: Option<String>,
    pub(in crate::store) request_id: String,
    pub(in crate::store) previous_hash: Vec<u8>,
    pub(in crate::store) hash: Vec<u8>,
    pub(in crate::store) api_key: Option<Uuid>,
}

/// The chains that rows begin: of which tenant, by which writer.
pub(in crate::store) fn begun(rows: &[Sealed]) -> impl Iterator<Item = (Uuid, Uuid)> {
    let first = rows.iter().filter(|row| row.sequence == 1);
    first.map(|row| (row.tenant_id, row.writer))
}

impl TryFrom<&AuditRow> for Sealed {
    type Error = StoreError;

    fn try_from(row: &AuditRow) -> Result<Self, StoreError> {
        let record = &row.record;
        let [actor_commitment, address_commitment, user_agent_commitment] = &record.commitments;
        Ok(Self {
            tenant_id: row.tenant.0,
            writer: record.writer,
            sequence: i64::try_from(record.sequence).map_err(unreadable)?,
            id: record.id,
            time: record.time.as_microsecond(),
            organization: record.organization.clone(),
            actor: record.actor.clone(),
            address: record.address.clone(),
            user_agent: record.user_agent.clone(),
            commitment_key: record.commitment_key.as_deref().map(bytes).transpose()?,
            actor_commitment: bytes(actor_commitment)?,
            address_commitment: bytes(address_commitment)?,
            user_agent_commitment: bytes(user_agent_commitment)?,
            action: record.action.name().to_owned(),
            resource: record.resource.clone(),
            outcome: record.outcome.name().to_owned(),
            reason: record.reason.clone(),
            request_id: record.request_id.clone(),
            previous_hash: bytes(&record.previous_hash)?,
            hash: bytes(&record.hash)?,
            api_key: record.api_key,
        })
    }
}

impl TryFrom<Sealed> for Record {
    type Error = StoreError;

    fn try_from(row: Sealed) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            writer: row.writer,
            sequence: u64::try_from(row.sequence).map_err(unreadable)?,
            time: timestamp("audit record", row.time)?,
            organization: row.organization,
            actor: row.actor,
            api_key: row.api_key,
            action: row.action.parse().map_err(unreadable)?,
            resource: row.resource,
            outcome: row.outcome.parse().map_err(unreadable)?,
            reason: row.reason,
            request_id: row.request_id,
            address: row.address,
            user_agent: row.user_agent,
            commitment_key: row.commitment_key.map(hex::encode),
            commitments: [
                row.actor_commitment,
                row.address_commitment,
                row.user_agent_commitment,
            ]
            .map(hex::encode),
            previous_hash: hex::encode(row.previous_hash),
            hash: hex::encode(row.hash),
        })
    }
}

#[async_trait]
impl<E: Engine> AuditStore for SqlStore<E> {
    async fn open_writer(&self, writer: WriterId, partition: Partition) -> Result<(), StoreError> {
        let values = [
            writer.0.into(),
            now().into(),
            i64::from(partition.month.number()).into(),
            i64::from(partition.retention_days).into(),
        ];
        let mut transaction = self.engine.record().await?;
        self.engine
            .add_partition(&mut transaction, partition)
            .await?;
        transaction.execute(OPEN_WRITER, &values).await?;
        transaction.commit().await
    }

    async fn append_audit(&self, batch: &AuditBatch) -> Result<(), StoreError> {
        if batch.rows.is_empty() {
            return Ok(());
        }
        let rows = batch
            .rows
            .iter()
            .map(Sealed::try_from)
            .collect::<Result<Vec<_>, _>>()?;
        let writers: Vec<_> = batch.writers.iter().map(|(id, may)| (*id, *may)).collect();
        let mut transaction = self.engine.record().await?;
        let added = self
            .engine
            .append_audit(&mut transaction, &rows, &writers, now())
            .await?;
        if added < rows.len() as u64 {
            return Err(StoreError::WriterClosed);
        }
        if !batch.deliveries.is_empty() {
            self.engine
                .add_deliveries(&mut transaction, &batch.deliveries, now())
                .await?;
        }
        transaction.commit().await
    }

    async fn audit_page(
        &self,
        tenant: TenantId,
        filter: &AuditFilter,
        page: Page,
    ) -> Result<Paged<Record>, StoreError> {
        let since = filter.since.unwrap_or(Timestamp::MIN);
        let until = filter.until.unwrap_or(Timestamp::MAX);
        let values = [
            tenant.into(),
            start_of_list(page.after).min(first_id_after(until)).into(),
            first_id_at(since).into(),
            since.as_microsecond().into(),
            until.as_microsecond().into(),
            filter.action.as_deref().into(),
            filter.actor.as_deref().into(),
            filter.resource.as_deref().into(),
            filter.outcome.as_deref().into(),
            filter.api_key.into(),
            (i64::from(page.limit) + 1).into(),
        ];
        let mut transaction = self.engine.read(tenant).await?;
        let rows: Vec<Sealed> = transaction.rows(PAGE, &values).await?;
        transaction.commit().await?;
        Ok(paged(records(rows)?, page.limit, |record: &Record| {
            record.id
        }))
    }

    async fn audit_writers(&self, tenant: TenantId) -> Result<Vec<WriterId>, StoreError> {
        let mut transaction = self.engine.read(tenant).await?;
        let writers: Vec<(Uuid,)> = transaction.rows(WRITERS, &[tenant.into()]).await?;
        transaction.commit().await?;
        Ok(writers
            .into_iter()
            .map(|(writer,)| WriterId(writer))
            .collect())
    }

    async fn audit_chain(
        &self,
        tenant: TenantId,
        writer: WriterId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let values = [
            tenant.into(),
            writer.0.into(),
            after.into(),
            i64::from(limit).into(),
        ];
        let mut transaction = self.engine.read(tenant).await?;
        let rows: Vec<Sealed> = transaction.rows(CHAIN, &values).await?;
        transaction.commit().await?;
        records(rows)
    }
}

fn records(rows: Vec<Sealed>) -> Result<Vec<Record>, StoreError> {
    rows.into_iter().map(Record::try_from).collect()
}

/// The least UUIDv7 (RFC 9562, section 5.7) of the millisecond of `time`: lets the
/// index on ids serve ranges of time.
fn first_id_at(time: Timestamp) -> Uuid {
    first_id(time.as_millisecond())
}

/// The least UUIDv7 of the millisecond after that of `time`.
fn first_id_after(time: Timestamp) -> Uuid {
    first_id(time.as_millisecond().saturating_add(1))
}

fn first_id(millisecond: i64) -> Uuid {
    const LARGEST: i64 = (1 << 48) - 1;
    Uuid::from_u128((millisecond.clamp(0, LARGEST) as u128) << 80)
}

fn bytes(hexadecimal: &str) -> Result<Vec<u8>, StoreError> {
    hex::decode(hexadecimal).map_err(unreadable)
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::corrupt("audit record", error)
}
