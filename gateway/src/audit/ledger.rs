//! What the recorder tells the keeper: its writers, and which organizations' chains have grown.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::{TenantId, WriterId};

/// The writers of this process and what they did. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    open: HashSet<WriterId>,
    retired: HashSet<WriterId>,
    grown: HashSet<TenantId>,
}

impl Ledger {
    /// A writer was opened.
    pub(super) fn opened(&self, writer: WriterId) {
        self.entries().open.insert(writer);
    }

    /// A writer writes nothing any more, and what it was to write is written.
    pub(super) fn retired(&self, writer: WriterId) {
        let mut entries = self.entries();
        entries.open.remove(&writer);
        entries.retired.insert(writer);
    }

    /// No writer of this process writes any more.
    pub(super) fn all_retired(&self) {
        let mut entries = self.entries();
        let open = std::mem::take(&mut entries.open);
        entries.retired.extend(open);
    }

    /// Records of these organizations were committed.
    pub(super) fn grown(&self, tenants: impl IntoIterator<Item = TenantId>) {
        self.entries().grown.extend(tenants);
    }

    /// The writers that are open.
    pub(super) fn open(&self) -> Vec<WriterId> {
        self.entries().open.iter().copied().collect()
    }

    /// The writers that are retired and not closed.
    pub(super) fn to_close(&self) -> Vec<WriterId> {
        self.entries().retired.iter().copied().collect()
    }

    /// A retired writer is closed.
    pub(super) fn closed(&self, writer: WriterId) {
        self.entries().retired.remove(&writer);
    }

    /// The organizations whose chains have grown since the last call.
    pub(super) fn take_grown(&self) -> HashSet<TenantId> {
        std::mem::take(&mut self.entries().grown)
    }

    /// Every change is one operation on a set: a panic elsewhere leaves them whole.
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
