//! The task that commits records in batches.
//!
//! Group commit: while one batch is being committed, the next one gathers and is
//! sealed on top of it, so that a record waits for at most one commit besides its
//! own, the database sees few transactions however many callers there are, and it
//! never waits for hashes. A batch is handed over only once the one before it is
//! committed; if that fails, what was sealed on top of it is sealed anew.

use std::sync::Arc;
use std::time::Duration;

use futures::future::pending;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::AuditError;
use super::buffer::Buffer;
use super::epochs::{Epochs, Promise, SealedBatch};
use super::ledger::Ledger;
use super::outbox::deliveries;
use super::policy::{Policy, SharedPolicies};
use super::stamps::Stamps;
use super::submission::Submission;
use crate::domain::audit::{Month, Stamp};
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
    /// Not sealed yet, with what failed and is tried again in front.
    waiting: Vec<Submission>,
    /// Sealed on top of what is being committed.
    next: Prepared,
    committing: Option<Commit>,
    /// What was acknowledged already and failed is left alone for a moment.
    resting: bool,
    /// Another process took this one for dead, and the records go to new writers.
    reopened: bool,
    /// Whether more records may come; then what failed is tried without end.
    open: bool,
    tries_left: u32,
}

/// Records that are sealed, and who waits for them.
#[derive(Default)]
struct Prepared {
    batch: SealedBatch,
    submissions: Vec<Submission>,
}

/// A batch on its way to the database.
struct Commit {
    outcome: JoinHandle<Result<(), StoreError>>,
    promise: Promise,
    submissions: Vec<Submission>,
    /// Whether it was refused once because its writers were closed.
    again: bool,
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
            waiting: Vec::with_capacity(LARGEST_BATCH),
            next: Prepared::default(),
            committing: None,
            resting: false,
            reopened: false,
            open: true,
            tries_left: LAST_TRIES,
        })
    }

    /// Commits batch after batch until `closing`, and then what is left.
    pub(super) async fn run(
        mut self,
        mut queue: mpsc::Receiver<Submission>,
        closing: CancellationToken,
    ) {
        while self.open || self.has_work() {
            self.proceed().await;
            let room =
                LARGEST_BATCH.saturating_sub(self.waiting.len() + self.next.submissions.len());
            tokio::select! {
                biased;
                () = closing.cancelled(), if !queue.is_closed() => queue.close(),
                outcome = outcome_of(&mut self.committing) => self.landed(outcome),
                received = queue.recv_many(&mut self.waiting, room), if self.open && room > 0 => {
                    self.open = received > 0;
                    self.resting &= received == 0;
                }
                () = tokio::time::sleep(RETRY), if self.resting => self.resting = false,
            }
        }
        self.ledger.all_retired();
    }

    fn has_work(&self) -> bool {
        self.committing.is_some() || !self.next.batch.is_empty() || !self.waiting.is_empty()
    }

    /// Seals what can be sealed, and hands a batch over if none is on its way.
    async fn proceed(&mut self) {
        if self.resting || !self.has_work() {
            return;
        }
        if let Err(error) = self.prepare().await {
            let waiting = std::mem::take(&mut self.waiting);
            return self.failed(waiting, &error);
        }
        if self.committing.is_none() && !self.next.batch.is_empty() {
            self.commit();
        }
    }

    /// Seals what is waiting. Epochs are opened only while nothing is on its way:
    /// what is sealed already stays in the month and the epoch it was sealed for.
    async fn prepare(&mut self) -> Result<(), AuditError> {
        let room = LARGEST_BATCH.saturating_sub(self.next.submissions.len());
        let stamps = self.stamps.take(self.waiting.len().min(room))?;
        // One month for all of them, that of the last one.
        let Some(last) = stamps.last() else {
            return Ok(());
        };
        let idle = self.committing.is_none() && self.next.batch.is_empty();
        for submission in self.waiting.iter().take(stamps.len()) {
            let class = submission.policy.retention_days;
            if idle {
                let opened = self.epochs.open(&*self.store, last.time, class).await;
                opened.map_err(unavailable)?;
            } else if !self.epochs.is_open(class, Month::of(last.time)) {
                return Ok(());
            }
        }
        self.seal(&stamps);
        Ok(())
    }

    fn seal(&mut self, stamps: &[Stamp]) {
        let before = self.committing.as_ref().map(|commit| &commit.promise);
        for (submission, stamp) in self.waiting.iter().zip(stamps) {
            let batch = &mut self.next.batch;
            self.epochs.seal(batch, before, submission, *stamp);
        }
        let sealed = self.waiting.drain(..stamps.len());
        self.next.submissions.extend(sealed);
    }

    /// Hands the sealed batch to the store, in a task of its own.
    fn commit(&mut self) {
        let Prepared { batch, submissions } = std::mem::take(&mut self.next);
        let (mut batch, promise) = batch.into_parts();
        batch.deliveries = deliveries(&*self.policies, &batch.rows);
        let store = self.store.clone();
        let outcome = tokio::spawn(async move {
            let appended = tokio::time::timeout(COMMIT_TIMEOUT, store.append_audit(&batch)).await;
            appended.unwrap_or_else(|_| Err(unknown(std::io::ErrorKind::TimedOut)))
        });
        self.committing = Some(Commit {
            outcome,
            promise,
            submissions,
            again: std::mem::take(&mut self.reopened),
        });
    }

    /// The batch on its way is committed, or is not.
    fn landed(&mut self, outcome: Result<(), StoreError>) {
        let Some(commit) = self.committing.take() else {
            return;
        };
        let error = match outcome {
            Ok(()) => {
                self.epochs.advance(commit.promise);
                self.tries_left = LAST_TRIES;
                let committed = Ok(());
                for submission in commit.submissions {
                    submission.settle(&committed);
                }
                return self.metrics.audit_buffered(self.buffer.waiting());
            }
            Err(error) => error,
        };
        match &error {
            StoreError::OutcomeUnknown(_) => {
                tracing::warn!(
                    "the outcome of an audit commit is unknown: going on with new audit writers"
                );
                self.epochs.abandon(&commit.promise);
            }
            StoreError::WriterClosed => self.epochs.abandon(&commit.promise),
            // Nothing was written: the heads stay where they were, without a gap.
            _ => {}
        }
        // What follows was sealed on top of it.
        let next = std::mem::take(&mut self.next);
        self.waiting.splice(0..0, next.submissions);
        if matches!(error, StoreError::WriterClosed) && !commit.again {
            tracing::warn!(
                "another process took this one for dead: going on with new audit writers"
            );
            self.waiting.splice(0..0, commit.submissions);
            self.reopened = true;
            return;
        }
        self.failed(commit.submissions, &unavailable(error));
    }

    /// Tells who waits. What was acknowledged already and may still be written is tried again.
    fn failed(&mut self, submissions: Vec<Submission>, error: &AuditError) {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(records = submissions.len(), %error, cause, "audit records were not committed");
        let again = matches!(error, AuditError::Unavailable(error) if error.is_transient());
        let refused = Err(error.clone());
        let (mut kept, mut lost) = (Vec::new(), 0);
        for submission in submissions {
            match submission.is_acknowledged() {
                true if again => kept.push(submission),
                true => lost += 1,
                false => submission.settle(&refused),
            }
        }
        if !self.open {
            self.tries_left = self.tries_left.saturating_sub(1);
        }
        if self.tries_left == 0 {
            lost += kept.len();
            kept.clear();
        }
        self.lose(lost);
        self.resting = !kept.is_empty() && self.waiting.is_empty();
        self.waiting.splice(0..0, kept);
        self.metrics.audit_buffered(self.buffer.waiting());
    }

    fn lose(&self, records: usize) {
        if records > 0 {
            tracing::error!(records, "audit records that were acknowledged are lost");
            self.metrics.audit_lost(records as u64);
        }
    }
}

/// Waits for the batch on its way; for ever if there is none.
async fn outcome_of(committing: &mut Option<Commit>) -> Result<(), StoreError> {
    match committing {
        Some(commit) => (&mut commit.outcome)
            .await
            .unwrap_or_else(|_| Err(unknown(std::io::ErrorKind::Interrupted))),
        None => pending().await,
    }
}

fn unknown(kind: std::io::ErrorKind) -> StoreError {
    StoreError::OutcomeUnknown(sqlx::Error::Io(kind.into()))
}

fn unavailable(error: StoreError) -> AuditError {
    AuditError::Unavailable(Arc::new(error))
}
