//! The writer epochs of this process: one for each month and retention class.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use uuid::Uuid;

use super::buffer::{Buffer, MOST_BUFFERED};
use super::ledger::Ledger;
use super::submission::Submission;
use crate::domain::audit::{Head, Month, Partition, Stamp};
use crate::store::{AuditBatch, AuditRow, AuditStore, StoreError, TenantId, WriterId};

/// The epochs that are written to.
pub(super) struct Epochs {
    /// By retention class; the month is that of the last record.
    current: HashMap<u32, Epoch>,
    /// Not written to any more, but what they were to write may still be on its way.
    left: Vec<WriterId>,
    buffer: Buffer,
    ledger: Ledger,
}

/// One writer epoch: a head for each organization.
struct Epoch {
    writer: WriterId,
    month: Month,
    /// Whether it acknowledges records before they are written.
    buffers: bool,
    heads: HashMap<TenantId, Head>,
}

/// A batch that is ready to be committed, and the heads that its epochs have then.
pub(super) struct SealedBatch {
    pub(super) batch: AuditBatch,
    heads: HashMap<(u32, TenantId), Head>,
}

impl Epochs {
    pub(super) fn new(buffer: Buffer, ledger: Ledger) -> Self {
        Self {
            current: HashMap::new(),
            left: Vec::new(),
            buffer,
            ledger,
        }
    }

    /// Opens the epoch of a class for the month of `time`, unless it is open.
    pub(super) async fn open(
        &mut self,
        store: &dyn AuditStore,
        time: Timestamp,
        class: u32,
    ) -> Result<(), StoreError> {
        let month = Month::of(time);
        if self
            .current
            .get(&class)
            .is_some_and(|epoch| epoch.month >= month)
        {
            return Ok(());
        }
        let writer = WriterId(Uuid::now_v7());
        let partition = Partition {
            month,
            retention_days: class,
        };
        store.open_writer(writer, partition).await?;
        self.ledger.opened(writer);
        tracing::info!(writer = %writer.0, %month, retention_days = class, "opened an audit writer epoch");
        self.leave(class);
        let epoch = Epoch {
            writer,
            month,
            buffers: false,
            heads: HashMap::new(),
        };
        self.current.insert(class, epoch);
        Ok(())
    }

    /// Seals a batch: every submission with its stamp, in the epoch of its class and month.
    pub(super) async fn seal(
        &mut self,
        store: &dyn AuditStore,
        batch: &[Submission],
        stamps: &[Stamp],
    ) -> Result<SealedBatch, StoreError> {
        // One month for the whole batch, that of its last record: a batch that
        // spans the turn of a month is kept a moment longer, never shorter.
        let Some(last) = stamps.last() else {
            let batch = AuditBatch::from(Vec::new());
            return Ok(SealedBatch {
                batch,
                heads: HashMap::new(),
            });
        };
        for submission in batch {
            let class = submission.policy.retention_days;
            self.open(store, last.time, class).await?;
            if let Some(epoch) = self.current.get_mut(&class) {
                epoch.buffers |= submission.may_buffer();
            }
        }
        let mut heads: HashMap<(u32, TenantId), Head> = HashMap::new();
        let mut rows = Vec::with_capacity(batch.len());
        let mut writers = BTreeMap::new();
        for (submission, stamp) in batch.iter().zip(stamps) {
            let (tenant, class) = (submission.tenant, submission.policy.retention_days);
            let Some(epoch) = self.current.get(&class) else {
                continue;
            };
            let head = heads
                .entry((class, tenant))
                .or_insert_with(|| epoch.heads.get(&tenant).cloned().unwrap_or_default());
            let record = head.seal(epoch.writer.0, *stamp, &submission.entry);
            *head = Head::after(&record);
            rows.push(AuditRow { tenant, record });
            writers.insert(epoch.writer, if epoch.buffers { MOST_BUFFERED } else { 0 });
        }
        Ok(SealedBatch {
            batch: AuditBatch {
                rows,
                writers,
                deliveries: Vec::new(),
            },
            heads,
        })
    }

    /// The batch is committed.
    pub(super) fn advance(&mut self, sealed: SealedBatch) {
        let tenants = sealed.batch.rows.iter().map(|row| row.tenant);
        self.ledger.grown(tenants);
        for ((class, tenant), head) in sealed.heads {
            if let Some(epoch) = self.current.get_mut(&class) {
                epoch.heads.insert(tenant, head);
                if epoch.buffers {
                    self.buffer.announce(class);
                }
            }
        }
        // What those were to write is written by now, by themselves or by others.
        for writer in self.left.drain(..) {
            self.ledger.retired(writer);
        }
    }

    /// The batch's epochs are not continued: their chains may have ends that we do not know.
    pub(super) fn abandon(&mut self, sealed: &SealedBatch) {
        let of_batch = |epoch: &Epoch| sealed.batch.writers.contains_key(&epoch.writer);
        let classes: Vec<u32> = self
            .current
            .iter()
            .filter(|(_, epoch)| of_batch(epoch))
            .map(|(class, _)| *class)
            .collect();
        for class in classes {
            self.leave(class);
        }
    }

    fn leave(&mut self, class: u32) {
        if let Some(epoch) = self.current.remove(&class) {
            self.left.push(epoch.writer);
            self.buffer.withdraw(class);
        }
    }
}
