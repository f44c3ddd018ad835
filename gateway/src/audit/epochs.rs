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

/// One writer epoch: what is committed of it.
struct Epoch {
    writer: WriterId,
    month: Month,
    /// Whether it acknowledges records before they are written.
    buffers: bool,
    heads: HashMap<TenantId, Head>,
}

/// The ends of chains once a batch is committed.
pub(super) type Heads = HashMap<(WriterId, TenantId), Head>;

/// Records that are to be committed together, and what is true then.
#[derive(Default)]
pub(super) struct SealedBatch {
    rows: Vec<AuditRow>,
    writers: BTreeMap<WriterId, u32>,
    heads: Heads,
}

/// What is true once a batch is committed.
pub(super) struct Promise {
    /// Its writers, each with how many records it may acknowledge before they are written.
    writers: BTreeMap<WriterId, u32>,
    heads: Heads,
}

impl SealedBatch {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The batch for the store, and what its commit makes true.
    pub(super) fn into_parts(self) -> (AuditBatch, Promise) {
        let promise = Promise {
            writers: self.writers.clone(),
            heads: self.heads,
        };
        let batch = AuditBatch {
            rows: self.rows,
            writers: self.writers,
            deliveries: Vec::new(),
        };
        (batch, promise)
    }
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
        if self.is_open(class, month) {
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

    /// Whether a record of the class can be sealed in the month, or a later one:
    /// it is kept a moment longer then, never shorter.
    pub(super) fn is_open(&self, class: u32, month: Month) -> bool {
        let epoch = self.current.get(&class);
        epoch.is_some_and(|epoch| epoch.month >= month)
    }

    /// Seals a record into a batch, in the epoch of its class. `before` is the
    /// batch that is being committed, which this one follows.
    pub(super) fn seal(
        &mut self,
        batch: &mut SealedBatch,
        before: Option<&Promise>,
        submission: &Submission,
        stamp: Stamp,
    ) {
        let (tenant, class) = (submission.tenant, submission.policy.retention_days);
        let Some(epoch) = self.current.get_mut(&class) else {
            return;
        };
        epoch.buffers |= submission.may_buffer();
        let chain = (epoch.writer, tenant);
        let head = batch.heads.entry(chain).or_insert_with(|| {
            let promised = before.and_then(|before| before.heads.get(&chain));
            let head = promised.or_else(|| epoch.heads.get(&tenant));
            head.cloned().unwrap_or_default()
        });
        let record = head.seal(epoch.writer.0, stamp, &submission.entry);
        *head = Head::after(&record);
        batch.rows.push(AuditRow { tenant, record });
        let may_lack = if epoch.buffers { MOST_BUFFERED } else { 0 };
        batch.writers.insert(epoch.writer, may_lack);
    }

    /// The batch is committed.
    pub(super) fn advance(&mut self, kept: Promise) {
        self.ledger
            .grown(kept.heads.keys().map(|(_, tenant)| *tenant));
        let classes: HashMap<WriterId, u32> = self
            .current
            .iter()
            .map(|(class, epoch)| (epoch.writer, *class))
            .collect();
        for (writer, may_lack) in &kept.writers {
            if let Some(class) = classes.get(writer).filter(|_| *may_lack > 0) {
                self.buffer.announce(*class);
            }
        }
        for ((writer, tenant), head) in kept.heads {
            let epoch = classes.get(&writer);
            if let Some(epoch) = epoch.and_then(|class| self.current.get_mut(class)) {
                epoch.heads.insert(tenant, head);
            }
        }
        // What those were to write is written by now, by themselves or by others.
        for writer in self.left.drain(..) {
            self.ledger.retired(writer);
        }
    }

    /// The batch's epochs are not continued: their chains may have ends that we do not know.
    pub(super) fn abandon(&mut self, broken: &Promise) {
        let of_batch = |epoch: &Epoch| broken.writers.contains_key(&epoch.writer);
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
