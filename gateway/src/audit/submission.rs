//! One record on its way from a handler to the writer.

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::AuditError;
use super::policy::Policy;
use crate::domain::audit::Entry;
use crate::store::TenantId;

/// A record that is to be written.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) tenant: TenantId,
    pub(super) policy: Policy,
    pub(super) entry: Entry,
    receipt: Receipt,
}

/// Who is waiting for the record.
#[derive(Debug)]
enum Receipt {
    /// A caller, until it is committed.
    Awaited(oneshot::Sender<Result<(), AuditError>>),
    /// Nobody: it was acknowledged already, and holds its place in the buffer.
    Acknowledged { _place: OwnedSemaphorePermit },
}

impl Submission {
    /// A record that its caller waits for.
    pub(super) fn awaited(
        tenant: TenantId,
        policy: Policy,
        entry: Entry,
    ) -> (Self, oneshot::Receiver<Result<(), AuditError>>) {
        let (committed, receiver) = oneshot::channel();
        let submission = Self {
            tenant,
            policy,
            entry,
            receipt: Receipt::Awaited(committed),
        };
        (submission, receiver)
    }

    /// A record that is acknowledged before it is written.
    pub(super) fn acknowledged(
        tenant: TenantId,
        policy: Policy,
        entry: Entry,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            tenant,
            policy,
            entry,
            receipt: Receipt::Acknowledged { _place: place },
        }
    }

    /// Whether it was acknowledged already, so that it must be written.
    pub(super) fn is_acknowledged(&self) -> bool {
        matches!(self.receipt, Receipt::Acknowledged { .. })
    }

    /// Whether the organization lets records of its kind be acknowledged early.
    pub(super) fn may_buffer(&self) -> bool {
        self.policy.buffers(self.entry.action)
    }

    /// Tells the caller, and gives the place in the buffer back.
    pub(super) fn settle(self, result: &Result<(), AuditError>) {
        if let Receipt::Awaited(committed) = self.receipt {
            // A caller that went away needs no answer; its record stands.
            let _ = committed.send(result.clone());
        }
    }
}
