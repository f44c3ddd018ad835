//! The task that seals records and commits them in batches.
//!
//! Group commit: while one batch is being committed, the next one gathers, so
//! that a record waits for at most one commit besides its own, and the database
//! sees few transactions however many callers there are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::{ContextV7, Uuid};

use super::AuditError;
use crate::domain::audit::{CommitmentKey, Entry, Head, Stamp};
use crate::store::{AuditRow, AuditStore, StoreError, TenantId, WriterId};

/// Most records of one commit.
const LARGEST_BATCH: usize = 512;

/// After which a commit is given up and its outcome counts as unknown.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// A record that a caller waits for.
#[derive(Debug)]
pub(super) struct Submission {
    tenant: TenantId,
    entry: Entry,
    committed: oneshot::Sender<Result<(), AuditError>>,
}

impl Submission {
    pub(super) fn new(
        tenant: TenantId,
        entry: Entry,
    ) -> (Self, oneshot::Receiver<Result<(), AuditError>>) {
        let (committed, receiver) = oneshot::channel();
        (
            Self {
                tenant,
                entry,
                committed,
            },
            receiver,
        )
    }
}

/// The chains of this process.
pub(super) struct Writer {
    store: Arc<dyn AuditStore>,
    /// `None` once a commit's outcome is unknown: its chains may have ends that
    /// we do not know, and are not continued.
    epoch: Option<Epoch>,
    ids: ContextV7,
    /// Times of records never go back, whatever the clock does.
    last_time: Timestamp,
}

/// One writer epoch: a head for each organization.
struct Epoch {
    writer: WriterId,
    heads: HashMap<TenantId, Head>,
}

impl Writer {
    /// Opens the first writer epoch.
    pub(super) async fn open(store: Arc<dyn AuditStore>) -> Result<Self, AuditError> {
        let epoch = Epoch::open(&*store).await.map_err(unavailable)?;
        Ok(Self {
            store,
            epoch: Some(epoch),
            ids: ContextV7::new(),
            last_time: Timestamp::UNIX_EPOCH,
        })
    }

    /// Commits batch after batch until `closing`, and then what is left.
    pub(super) async fn run(
        mut self,
        mut queue: mpsc::Receiver<Submission>,
        closing: CancellationToken,
    ) {
        let mut batch = Vec::with_capacity(LARGEST_BATCH);
        loop {
            tokio::select! {
                biased;
                () = closing.cancelled(), if !queue.is_closed() => queue.close(),
                received = queue.recv_many(&mut batch, LARGEST_BATCH) => {
                    if received == 0 {
                        return;
                    }
                    let result = self.commit(&batch).await;
                    answer(&mut batch, &result);
                }
            }
        }
    }

    async fn commit(&mut self, batch: &[Submission]) -> Result<(), AuditError> {
        let stamps = self.stamps(batch.len())?;
        let mut epoch = match self.epoch.take() {
            Some(epoch) => epoch,
            None => Epoch::open(&*self.store).await.map_err(unavailable)?,
        };
        let (rows, heads) = epoch.seal(batch, &stamps);
        let appended = tokio::time::timeout(COMMIT_TIMEOUT, self.store.append_audit(&rows)).await;
        let result = appended.unwrap_or_else(|_| Err(timed_out()));
        match &result {
            Ok(()) => {
                epoch.heads.extend(heads);
                self.epoch = Some(epoch);
            }
            Err(error) if has_unknown_outcome(error) => {
                tracing::warn!(writer = %epoch.writer.0, "the outcome of an audit commit is unknown: opening a new writer epoch");
            }
            // Nothing was written: the heads stay where they were, without a gap.
            Err(_) => self.epoch = Some(epoch),
        }
        result.map_err(unavailable)
    }

    fn stamps(&mut self, number: usize) -> Result<Vec<Stamp>, AuditError> {
        (0..number).map(|_| self.stamp()).collect()
    }

    fn stamp(&mut self) -> Result<Stamp, AuditError> {
        let time = Timestamp::now().max(self.last_time);
        self.last_time = time;
        let seconds = u64::try_from(time.as_second()).unwrap_or_default();
        let nanoseconds = u32::try_from(time.subsec_nanosecond()).unwrap_or_default();
        let id = Uuid::new_v7(uuid::Timestamp::from_unix(&self.ids, seconds, nanoseconds));
        let mut key = CommitmentKey::default();
        rand::fill(&mut key).map_err(|_| AuditError::Random)?;
        Ok(Stamp { id, time, key })
    }
}

impl Epoch {
    async fn open(store: &dyn AuditStore) -> Result<Self, StoreError> {
        let writer = WriterId(Uuid::now_v7());
        store.open_writer(writer).await?;
        tracing::info!(writer = %writer.0, "opened an audit writer epoch");
        Ok(Self {
            writer,
            heads: HashMap::new(),
        })
    }

    /// The rows of a batch, and the heads that the epoch has once they are committed.
    fn seal(
        &self,
        batch: &[Submission],
        stamps: &[Stamp],
    ) -> (Vec<AuditRow>, HashMap<TenantId, Head>) {
        let mut heads: HashMap<TenantId, Head> = HashMap::new();
        let rows = batch
            .iter()
            .zip(stamps)
            .map(|(submission, stamp)| {
                let tenant = submission.tenant;
                let head = heads
                    .entry(tenant)
                    .or_insert_with(|| self.heads.get(&tenant).cloned().unwrap_or_default());
                let record = head.seal(self.writer.0, *stamp, &submission.entry);
                *head = Head::after(&record);
                AuditRow { tenant, record }
            })
            .collect();
        (rows, heads)
    }
}

/// Tells every caller of a batch.
fn answer(batch: &mut Vec<Submission>, result: &Result<(), AuditError>) {
    if let Err(error) = result {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(records = batch.len(), %error, cause, "audit records were not committed");
    }
    for submission in batch.drain(..) {
        // A caller that went away needs no answer; its record stands.
        let _ = submission.committed.send(result.clone());
    }
}

fn has_unknown_outcome(error: &StoreError) -> bool {
    matches!(error, StoreError::OutcomeUnknown(_))
}

fn timed_out() -> StoreError {
    StoreError::OutcomeUnknown(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
}

fn unavailable(error: StoreError) -> AuditError {
    AuditError::Unavailable(Arc::new(error))
}
