//! What handlers hold: records acts, and waits until they are durable.

use std::sync::Arc;

use agentapi_crds::tenant_config::AuditDurability;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::AuditError;
use super::buffer::Buffer;
use super::ledger::Ledger;
use super::policy::{Policies, Policy, SharedPolicies};
use super::submission::Submission;
use super::writer::Writer;
use crate::domain::audit::{Action, Context, Entry, Outcome};
use crate::store::{AuditStore, TenantId};
use crate::telemetry::Metrics;

/// Records that may wait for a commit; callers beyond wait for room.
const QUEUE: usize = 4096;

/// `reason` of an act whose handler went away before it said how it ended.
const ABANDONED: &str = "abandoned";

/// Records acts. Cloning is cheap; all clones share their writer epochs.
#[derive(Clone)]
pub struct Recorder {
    lane: Lane,
    policies: SharedPolicies,
    ledger: Ledger,
    closing: CancellationToken,
    tasks: TaskTracker,
}

/// The way of a record to the writer.
#[derive(Clone, Debug)]
struct Lane {
    submissions: mpsc::Sender<Submission>,
    buffer: Buffer,
}

impl Recorder {
    /// Opens a writer epoch and starts the task that commits records, every one
    /// of them before it is acknowledged.
    pub async fn start(store: Arc<dyn AuditStore>) -> Result<Self, AuditError> {
        Self::with_policies(store, Arc::new(Policy::default()), Metrics::new()).await
    }

    /// As [`start`](Self::start), with each organization's own policy.
    pub async fn with_policies(
        store: Arc<dyn AuditStore>,
        policies: Arc<dyn Policies>,
        metrics: Metrics,
    ) -> Result<Self, AuditError> {
        let (submissions, queue) = mpsc::channel(QUEUE);
        let closing = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (buffer, ledger) = (Buffer::default(), Ledger::default());
        let writer = Writer::open(
            store,
            policies.clone(),
            buffer.clone(),
            ledger.clone(),
            metrics,
        )
        .await?;
        tasks.spawn(writer.run(queue, closing.clone()));
        tasks.close();
        Ok(Self {
            lane: Lane {
                submissions,
                buffer,
            },
            policies,
            ledger,
            closing,
            tasks,
        })
    }

    /// What a [`Keeper`](super::Keeper) needs to know of this recorder.
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Records that an act is about to begin. Durable on return, unless the
    /// organization lets calls be buffered.
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
        let policy = self.policies.policy(tenant);
        let committed = self.lane.submit(tenant, policy, entry.clone()).await?;
        // Made before the wait: a caller that goes away meanwhile leaves an
        // intent behind, and with it an outcome.
        let mut act = OpenAct {
            lane: self.lane.clone(),
            tenant,
            policy,
            open: Some(entry),
        };
        let written = outcome_of(committed).await;
        if written.is_err() {
            act.open = None;
        }
        written.map(|()| act)
    }

    /// Records an act that is over, in one record: a refusal, for example. Always
    /// durable on return.
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
        let policy = Policy {
            durability: AuditDurability::Synchronous,
            ..self.policies.policy(tenant)
        };
        outcome_of(self.lane.submit(tenant, policy, entry).await?).await
    }

    /// Commits what is waiting and stops. Records submitted later are refused.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.wait().await;
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// Says when a record is committed; `None` where nobody has to wait.
type Committed = Option<oneshot::Receiver<Result<(), AuditError>>>;

impl Lane {
    /// Hands a record to the writer. Dropped while it waits for room, it hands over nothing.
    async fn submit(
        &self,
        tenant: TenantId,
        policy: Policy,
        entry: Entry,
    ) -> Result<Committed, AuditError> {
        let room = self
            .submissions
            .reserve()
            .await
            .map_err(|_| AuditError::Closed)?;
        let place = policy
            .buffers(entry.action)
            .then(|| self.buffer.place(policy.retention_days))
            .flatten();
        match place {
            Some(place) => {
                room.send(Submission::acknowledged(tenant, policy, entry, place));
                Ok(None)
            }
            None => {
                let (submission, committed) = Submission::awaited(tenant, policy, entry);
                room.send(submission);
                Ok(Some(committed))
            }
        }
    }
}

/// An act whose intent is on the record and whose outcome is not yet.
///
/// Dropped without [`finish`](OpenAct::finish), it is recorded as a failure with
/// the reason `abandoned`, in the background.
#[derive(Debug)]
#[must_use = "an act that is not finished is recorded as abandoned"]
pub struct OpenAct {
    lane: Lane,
    tenant: TenantId,
    policy: Policy,
    open: Option<Entry>,
}

impl OpenAct {
    /// Records how the act ended. As durable on return as its intent was.
    pub async fn finish(
        mut self,
        outcome: Outcome,
        reason: Option<&'static str>,
    ) -> Result<(), AuditError> {
        let Some(entry) = self.open.clone() else {
            return Ok(());
        };
        let entry = Entry {
            outcome,
            reason,
            ..entry
        };
        let committed = self.lane.submit(self.tenant, self.policy, entry).await?;
        self.open = None;
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
        let (lane, tenant, policy) = (self.lane.clone(), self.tenant, self.policy);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            tracing::error!(
                request_id = entry.context.request_id,
                "an act was abandoned outside of the runtime"
            );
            return;
        };
        runtime.spawn(async move {
            let request_id = entry.context.request_id.clone();
            let recorded = match lane.submit(tenant, policy, entry).await {
                Ok(committed) => outcome_of(committed).await,
                Err(error) => Err(error),
            };
            if let Err(error) = recorded {
                tracing::error!(request_id, %error, "an abandoned act has no outcome on the record");
            }
        });
    }
}

/// Waits until the record is committed, or cannot be.
async fn outcome_of(committed: Committed) -> Result<(), AuditError> {
    match committed {
        Some(committed) => committed.await.unwrap_or(Err(AuditError::Closed)),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
