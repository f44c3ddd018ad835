//! What handlers hold: records acts, and waits until they are durable.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::AuditError;
use super::writer::{Submission, Writer};
use crate::domain::audit::{Action, Context, Entry, Outcome};
use crate::store::{AuditStore, TenantId};

/// Records that may wait for a commit; callers beyond wait for room.
const QUEUE: usize = 4096;

/// `reason` of an act whose handler went away before it said how it ended.
const ABANDONED: &str = "abandoned";

/// Records acts. Cloning is cheap; all clones share one writer epoch.
#[derive(Clone, Debug)]
pub struct Recorder {
    submissions: mpsc::Sender<Submission>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Recorder {
    /// Opens a writer epoch and starts the task that commits records.
    pub async fn start(store: Arc<dyn AuditStore>) -> Result<Self, AuditError> {
        let (submissions, queue) = mpsc::channel(QUEUE);
        let closing = CancellationToken::new();
        let tasks = TaskTracker::new();
        let writer = Writer::open(store).await?;
        tasks.spawn(writer.run(queue, closing.clone()));
        tasks.close();
        Ok(Self {
            submissions,
            closing,
            tasks,
        })
    }

    /// Records that an act is about to begin. Durable on return.
    pub async fn intent(
        &self,
        tenant: TenantId,
        context: &Arc<Context>,
        action: Action,
        resource: String,
    ) -> Result<OpenAct, AuditError> {
        let entry = Entry {
            context: context.clone(),
            action,
            resource,
            outcome: Outcome::Intent,
            reason: None,
        };
        let room = self
            .submissions
            .reserve()
            .await
            .map_err(|_| AuditError::Closed)?;
        let (submission, committed) = Submission::new(tenant, entry.clone());
        room.send(submission);
        // Made before the wait: a caller that goes away meanwhile leaves an
        // intent behind, and with it an outcome.
        let mut act = OpenAct {
            submissions: self.submissions.clone(),
            tenant,
            open: Some(entry),
        };
        let written = outcome_of(committed).await;
        if written.is_err() {
            act.open = None;
        }
        written.map(|()| act)
    }

    /// Records an act that is over, in one record: a refusal, for example. Durable on return.
    pub async fn record(
        &self,
        tenant: TenantId,
        context: &Arc<Context>,
        action: Action,
        resource: String,
        outcome: Outcome,
        reason: Option<&'static str>,
    ) -> Result<(), AuditError> {
        let entry = Entry {
            context: context.clone(),
            action,
            resource,
            outcome,
            reason,
        };
        submit(&self.submissions, tenant, entry).await
    }

    /// Commits what is waiting and stops. Records submitted later are refused.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.wait().await;
    }
}

/// An act whose intent is on the record and whose outcome is not yet.
///
/// Dropped without [`finish`](OpenAct::finish), it is recorded as a failure with
/// the reason `abandoned`, in the background.
#[derive(Debug)]
#[must_use = "an act that is not finished is recorded as abandoned"]
pub struct OpenAct {
    submissions: mpsc::Sender<Submission>,
    tenant: TenantId,
    open: Option<Entry>,
}

impl OpenAct {
    /// Records how the act ended. Durable on return.
    pub async fn finish(
        mut self,
        outcome: Outcome,
        reason: Option<&'static str>,
    ) -> Result<(), AuditError> {
        let room = self
            .submissions
            .reserve()
            .await
            .map_err(|_| AuditError::Closed)?;
        let Some(entry) = self.open.take() else {
            return Ok(());
        };
        let (submission, committed) = Submission::new(
            self.tenant,
            Entry {
                outcome,
                reason,
                ..entry
            },
        );
        room.send(submission);
        outcome_of(committed).await
    }
}

impl Drop for OpenAct {
    fn drop(&mut self) {
        let Some(entry) = self.open.take() else {
            return;
        };
        let entry = Entry {
            outcome: Outcome::Failure,
            reason: Some(ABANDONED),
            ..entry
        };
        let (submissions, tenant) = (self.submissions.clone(), self.tenant);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            tracing::error!(
                request_id = entry.context.request_id,
                "an act was abandoned outside of the runtime"
            );
            return;
        };
        runtime.spawn(async move {
            let request_id = entry.context.request_id.clone();
            if let Err(error) = submit(&submissions, tenant, entry).await {
                tracing::error!(request_id, %error, "an abandoned act has no outcome on the record");
            }
        });
    }
}

async fn submit(
    submissions: &mpsc::Sender<Submission>,
    tenant: TenantId,
    entry: Entry,
) -> Result<(), AuditError> {
    let (submission, committed) = Submission::new(tenant, entry);
    submissions
        .send(submission)
        .await
        .map_err(|_| AuditError::Closed)?;
    outcome_of(committed).await
}

/// Waits until the record is committed, or cannot be.
async fn outcome_of(
    committed: oneshot::Receiver<Result<(), AuditError>>,
) -> Result<(), AuditError> {
    committed.await.unwrap_or(Err(AuditError::Closed))
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
