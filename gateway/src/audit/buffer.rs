//! Acts that are acknowledged before their records are written, and the bound on what that can lose.
//!
//! A record counts against the bound from its acknowledgement until it is
//! committed. Before anything is acknowledged early, the writer's row in the
//! database says how much may be lost, so that whoever closes the writer after a
//! crash can say so: the first buffered record of a writer therefore waits.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most records acknowledged and not yet written, in one process.
pub const MOST_BUFFERED: u32 = 256;

/// The room for records that are acknowledged early.
#[derive(Clone, Debug)]
pub(super) struct Buffer {
    room: Arc<Semaphore>,
    /// Retention classes whose writer is announced in the database.
    announced: Arc<Mutex<HashSet<u32>>>,
}

impl Default for Buffer {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(MOST_BUFFERED as usize)),
            announced: Arc::default(),
        }
    }
}

impl Buffer {
    /// A place for one record of a class; `None` where it must wait to be written.
    pub(super) fn place(&self, retention_days: u32) -> Option<OwnedSemaphorePermit> {
        if !self.lock().contains(&retention_days) {
            return None;
        }
        self.room.clone().try_acquire_owned().ok()
    }

    /// The class's writer is announced in the database.
    pub(super) fn announce(&self, retention_days: u32) {
        self.lock().insert(retention_days);
    }

    /// The class's writer is not written to any more.
    pub(super) fn withdraw(&self, retention_days: u32) {
        self.lock().remove(&retention_days);
    }

    /// Records acknowledged and not yet written.
    pub(super) fn waiting(&self) -> u64 {
        u64::from(MOST_BUFFERED).saturating_sub(self.room.available_permits() as u64)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<u32>> {
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
