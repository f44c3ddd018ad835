//! Writers' lives, checkpoints, retention and erasure.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Engine, SqlStore, Transaction, now};
use crate::domain::audit::{ChainHead, ChainState, Checkpoint, Mark, Month, Partition, Signature};
use crate::store::{AuditKeepingStore, Basis, DeadWriter, StoreError, TenantId, WriterId};

const RENEW: &str = "UPDATE audit_writers SET seen_at = $2 WHERE id = $1 AND closed_at IS NULL";

const CLOSE: &str =
    "UPDATE audit_writers SET closed_at = $2, may_lack = 0 WHERE id = $1 AND closed_at IS NULL";

const CLOSE_DEAD: &str = "UPDATE audit_writers SET closed_at = $2 \
     WHERE closed_at IS NULL AND seen_at < $1 RETURNING id, may_lack";

const TO_STATE: &str = "SELECT DISTINCT chains.tenant_id FROM audit_chains chains \
     JOIN audit_writers writers ON writers.id = chains.writer \
     WHERE chains.closed_in IS NULL AND writers.closed_at IS NOT NULL";

const LAST: &str = "SELECT number, document, signed_by, signature FROM audit_checkpoints \
     WHERE tenant_id = $1 ORDER BY number DESC LIMIT 1";

const UNSTATED_CHAINS: &str = "SELECT chains.writer, chains.month, chains.retention_days, \
       CASE WHEN writers.closed_at IS NULL THEN 0 ELSE 1 END AS closed, \
       CASE WHEN writers.closed_at IS NULL THEN 0 ELSE writers.may_lack END AS may_lack \
     FROM audit_chains chains JOIN audit_writers writers ON writers.id = chains.writer \
     WHERE chains.tenant_id = $1 AND (chains.closed_in IS NULL OR $2 = 1) ORDER BY chains.writer";

const HEAD: &str = "SELECT sequence, hash FROM audit_logs WHERE tenant_id = $1 AND writer = $2 \
     ORDER BY sequence DESC LIMIT 1";

const ADD: &str = "INSERT INTO audit_checkpoints (tenant_id, number, time, document, signed_by, signature) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, number) DO NOTHING";

const STATED_AS_CLOSED: &str = "UPDATE audit_chains SET closed_in = $3 WHERE tenant_id = $1 AND writer = $2 \
     AND closed_in IS NULL";

const STATED_AS_DROPPED: &str =
    "UPDATE audit_chains SET dropped_in = $3 WHERE tenant_id = $1 AND writer = $2";

const LIST: &str = "SELECT number, document, signed_by, signature FROM audit_checkpoints \
     WHERE tenant_id = $1 AND number > $2 ORDER BY number LIMIT $3";

const OPEN_CLASSES: &str =
    "SELECT DISTINCT retention_days FROM audit_writers WHERE closed_at IS NULL";

const PARTITIONS: &str = "SELECT DISTINCT month, retention_days FROM audit_writers";

const TO_DROP: &str = "SELECT DISTINCT tenant_id FROM audit_chains \
     WHERE month = $1 AND retention_days = $2 AND dropped_in IS NULL";

#[derive(sqlx::FromRow)]
struct ChainRow {
    writer: Uuid,
    month: i32,
    retention_days: i32,
    closed: i32,
    may_lack: i32,
}

#[derive(sqlx::FromRow)]
struct CheckpointRow {
    number: i64,
    document: String,
    signed_by: String,
    signature: String,
}

impl From<CheckpointRow> for Checkpoint {
    fn from(row: CheckpointRow) -> Self {
        Self {
            document: row.document,
            signature: Signature {
                key: row.signed_by,
                value: row.signature,
            },
        }
    }
}

#[async_trait]
impl<E: Engine> AuditKeepingStore for SqlStore<E> {
    async fn renew_writers(&self, writers: &[WriterId]) -> Result<(), StoreError> {
        let mut transaction = self.engine.work().await?;
        for writer in writers {
            let values = [writer.0.into(), now().into()];
            transaction.execute(RENEW, &values).await?;
        }
        transaction.commit().await
    }

    async fn close_writer(&self, writer: WriterId) -> Result<(), StoreError> {
        let mut transaction = self.engine.work().await?;
        let values = [writer.0.into(), now().into()];
        transaction.execute(CLOSE, &values).await?;
        transaction.commit().await
    }

    async fn close_dead_writers(&self, seen: Timestamp) -> Result<Vec<DeadWriter>, StoreError> {
        let mut transaction = self.engine.work().await?;
        let values = [seen.as_microsecond().into(), now().into()];
        let dead: Vec<(Uuid, i32)> = transaction.rows(CLOSE_DEAD, &values).await?;
        transaction.commit().await?;
        Ok(dead
            .into_iter()
            .map(|(id, may_lack)| DeadWriter {
                id: WriterId(id),
                may_lack: may_lack.unsigned_abs(),
            })
            .collect())
    }

    async fn tenants_to_state(&self) -> Result<Vec<TenantId>, StoreError> {
        let mut transaction = self.engine.work().await?;
        let tenants: Vec<(Uuid,)> = transaction.rows(TO_STATE, &[]).await?;
        transaction.commit().await?;
        Ok(tenants.into_iter().map(|(id,)| TenantId(id)).collect())
    }

    async fn checkpoint_basis(
        &self,
        tenant: TenantId,
        full: bool,
        dropped: Option<Partition>,
    ) -> Result<Basis, StoreError> {
        let mut transaction = self.engine.read(tenant).await?;
        let last: Option<CheckpointRow> = transaction.rows(LAST, &[tenant.into()]).await?.pop();
        let values = [tenant.into(), i64::from(full).into()];
        let rows: Vec<ChainRow> = transaction.rows(UNSTATED_CHAINS, &values).await?;
        let mut chains = Vec::with_capacity(rows.len());
        for row in rows {
            let values = [tenant.into(), row.writer.into()];
            let head: Option<(i64, Vec<u8>)> = transaction.rows(HEAD, &values).await?.pop();
            // A chain without records is one that was tampered with: what earlier
            // checkpoints say of it stands.
            if let Some((sequence, hash)) = head {
                chains.push(ChainHead {
                    writer: row.writer,
                    sequence: sequence.unsigned_abs(),
                    hash: hex::encode(hash),
                    state: state(&row, dropped),
                    may_lack: row.may_lack.unsigned_abs(),
                });
            }
        }
        transaction.commit().await?;
        let last = last.map_or_else(Mark::default, |row| Mark {
            number: row.number.unsigned_abs(),
            hash: Checkpoint::from(row).hash(),
        });
        Ok(Basis { last, chains })
    }

    async fn add_checkpoint(
        &self,
        tenant: TenantId,
        checkpoint: &Checkpoint,
    ) -> Result<bool, StoreError> {
        let statement = checkpoint.statement().map_err(unreadable)?;
        let number = i64::try_from(statement.number).map_err(unreadable)?;
        let values = [
            tenant.into(),
            number.into(),
            statement.time.as_microsecond().into(),
            (&checkpoint.document).into(),
            (&checkpoint.signature.key).into(),
            (&checkpoint.signature.value).into(),
        ];
        let mut transaction = self.engine.write(tenant).await?;
        if transaction.execute(ADD, &values).await? == 0 {
            return Ok(false);
        }
        for chain in &statement.chains {
            let values = [tenant.into(), chain.writer.into(), number.into()];
            if chain.state != ChainState::Open {
                transaction.execute(STATED_AS_CLOSED, &values).await?;
            }
            if chain.state == ChainState::Dropped {
                transaction.execute(STATED_AS_DROPPED, &values).await?;
            }
        }
        transaction.commit().await?;
        Ok(true)
    }

    async fn checkpoints(
        &self,
        tenant: TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Checkpoint>, StoreError> {
        let values = [
            tenant.into(),
            i64::try_from(after).unwrap_or(i64::MAX).into(),
            i64::from(limit).into(),
        ];
        let mut transaction = self.engine.read(tenant).await?;
        let rows: Vec<CheckpointRow> = transaction.rows(LIST, &values).await?;
        transaction.commit().await?;
        Ok(rows.into_iter().map(Checkpoint::from).collect())
    }

    async fn add_partitions(&self, now: Timestamp) -> Result<(), StoreError> {
        let month = Month::of(now).next();
        let mut transaction = self.engine.work().await?;
        let classes: Vec<(i32,)> = transaction.rows(OPEN_CLASSES, &[]).await?;
        for (days,) in classes {
            let retention_days = days.unsigned_abs();
            let partition = Partition {
                month,
                retention_days,
            };
            self.engine
                .add_partition(&mut transaction, partition)
                .await?;
        }
        transaction.commit().await
    }

    async fn expired_partitions(&self, now: Timestamp) -> Result<Vec<Partition>, StoreError> {
        let mut transaction = self.engine.work().await?;
        let rows: Vec<(i32, i32)> = transaction.rows(PARTITIONS, &[]).await?;
        transaction.commit().await?;
        let partition = |(month, days): (i32, i32)| {
            Some(Partition {
                month: Month::from_number(month.unsigned_abs())?,
                retention_days: days.unsigned_abs(),
            })
        };
        let known: BTreeSet<Partition> = rows.into_iter().filter_map(partition).collect();
        Ok(known
            .into_iter()
            .filter(|partition| partition.expires() <= now)
            .collect())
    }

    async fn tenants_to_drop(&self, partition: Partition) -> Result<Vec<TenantId>, StoreError> {
        let mut transaction = self.engine.work().await?;
        let values = [
            i64::from(partition.month.number()).into(),
            i64::from(partition.retention_days).into(),
        ];
        let tenants: Vec<(Uuid,)> = transaction.rows(TO_DROP, &values).await?;
        transaction.commit().await?;
        Ok(tenants.into_iter().map(|(id,)| TenantId(id)).collect())
    }

    async fn drop_partition(&self, partition: Partition) -> Result<(), StoreError> {
        let until = partition.expires();
        if Timestamp::now() < until {
            let month = partition.month;
            return Err(StoreError::Retained { month, until });
        }
        let mut transaction = self.engine.work().await?;
        self.engine
            .drop_partition(&mut transaction, partition)
            .await?;
        transaction.commit().await
    }

    async fn erase_actor(&self, tenant: TenantId, actor: &str) -> Result<u64, StoreError> {
        let mut transaction = self.engine.work_for(tenant).await?;
        let erased = self
            .engine
            .erase_actor(&mut transaction, tenant, actor)
            .await?;
        transaction.commit().await?;
        Ok(erased)
    }
}

fn state(row: &ChainRow, dropped: Option<Partition>) -> ChainState {
    let partition = Month::from_number(row.month.unsigned_abs()).map(|month| Partition {
        month,
        retention_days: row.retention_days.unsigned_abs(),
    });
    match row.closed {
        _ if dropped.is_some() && partition == dropped => ChainState::Dropped,
        0 => ChainState::Open,
        _ => ChainState::Closed,
    }
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::corrupt("checkpoint", error)
}
