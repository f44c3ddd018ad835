//! The task that commits records in batches.
//!
//! Group commit: while one batch is being committed, the next one gathers, so
//! that a record waits for at most one commit besides its own, and the database
//! sees few transactions however many callers there are.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::AuditError;
use super::buffer::Buffer;
use super::epochs::Epochs;
use super::ledger::Ledger;
use super::outbox::deliveries;
use super::policy::{Policy, SharedPolicies};
use super::stamps::Stamps;
use super::submission::Submission;
use crate::store::{AuditStore, StoreError};
use crate::telemetry::Metrics;

/// Most records of one commit.
const LARGEST_BATCH: usize = 512;
/// After which a commit is given up and its outcome counts as unknown.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause before records that were acknowledged already are tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How often they are tried when the process ends.
const LAST_TRIES: u32 = 10;

/// The chains of this process.
pub(super) struct Writer {
    store: Arc<dyn AuditStore>,
    policies: SharedPolicies,
    epochs: Epochs,
    stamps: Stamps,
    buffer: Buffer,
    ledger: Ledger,
    metrics: Metrics,
}

impl Writer {
    /// A writer whose first epoch is opened, to show that it can be.
    pub(super) async fn open(
        store: Arc<dyn AuditStore>,
        policies: SharedPolicies,
        buffer: Buffer,
        ledger: Ledger,
        metrics: Metrics,
    ) -> Result<Self, AuditError> {
        let mut epochs = Epochs::new(buffer.clone(), ledger.clone());
        let mut stamps = Stamps::default();
        let first_class = Policy::default().retention_days;
        epochs
            .open(&*store, stamps.next()?.time, first_class)
            .await
            .map_err(unavailable)?;
        Ok(Self {
            store,
            policies,
            epochs,
            stamps,
            buffer,
            ledger,
            metrics,
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
            // Records that were acknowledged and not committed are still in the batch.
            let waiting = batch.len();
            let room = LARGEST_BATCH.saturating_sub(waiting).max(1);
            tokio::select! {
                biased;
                () = closing.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
                received = queue.recv_many(&mut batch, room) => {
                    if received == 0 {
                        break;
                    }
                }
                () = tokio::time::sleep(RETRY), if waiting > 0 => {}
            }
            self.turn(&mut batch).await;
        }
        self.last_tries(batch).await;
        self.ledger.all_retired();
    }

    /// Commits a batch; what was acknowledged already and may still be written stays in it.
    async fn turn(&mut self, batch: &mut Vec<Submission>) {
        let result = self.commit(batch).await;
        if let Err(error) = &result {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::error!(records = batch.len(), %error, cause, "audit records were not committed");
        }
        let again = matches!(&result, Err(AuditError::Unavailable(error)) if error.is_transient());
        let mut lost = 0;
        for submission in std::mem::take(batch) {
            match submission.is_acknowledged() && result.is_err() {
                true if again => batch.push(submission),
                true => lost += 1,
                false => submission.settle(&result),
            }
        }
        self.lose(lost);
        self.metrics.audit_buffered(self.buffer.waiting());
    }

    async fn last_tries(&mut self, mut batch: Vec<Submission>) {
        for _ in 0..LAST_TRIES {
            if batch.is_empty() {
                return;
            }
            self.turn(&mut batch).await;
            tokio::time::sleep(RETRY).await;
        }
        self.lose(batch.len());
    }

    fn lose(&self, records: usize) {
        if records > 0 {
            tracing::error!(records, "audit records that were acknowledged are lost");
            self.metrics.audit_lost(records as u64);
        }
    }

    async fn commit(&mut self, batch: &[Submission]) -> Result<(), AuditError> {
        match self.attempt(batch).await {
            // Nothing was written, and a new writer may write it.
            Err(AuditError::Unavailable(error)) if matches!(*error, StoreError::WriterClosed) => {
                tracing::warn!(
                    "another process took this one for dead: going on with new audit writers"
                );
                self.attempt(batch).await
            }
            result => result,
        }
    }

    async fn attempt(&mut self, batch: &[Submission]) -> Result<(), AuditError> {
        let stamps = self.stamps.take(batch.len())?;
        let mut sealed = self
            .epochs
            .seal(&*self.store, batch, &stamps)
            .await
            .map_err(unavailable)?;
        sealed.batch.deliveries = deliveries(&*self.policies, &sealed.batch.rows);
        let appended =
            tokio::time::timeout(COMMIT_TIMEOUT, self.store.append_audit(&sealed.batch)).await;
        let result = appended.unwrap_or_else(|_| Err(timed_out()));
        match &result {
            Ok(()) => self.epochs.advance(sealed),
            Err(StoreError::OutcomeUnknown(_)) => {
                tracing::warn!(
                    "the outcome of an audit commit is unknown: going on with new audit writers"
                );
                self.epochs.abandon(&sealed);
            }
            Err(StoreError::WriterClosed) => self.epochs.abandon(&sealed),
            // Nothing was written: the heads stay where they were, without a gap.
            Err(_) => {}
        }
        result.map_err(unavailable)
    }
}

fn timed_out() -> StoreError {
    StoreError::OutcomeUnknown(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
}

fn unavailable(error: StoreError) -> AuditError {
    AuditError::Unavailable(Arc::new(error))
}
