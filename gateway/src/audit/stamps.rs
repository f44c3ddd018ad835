//! The time, the id and the dice of each record.

use aws_lc_rs::rand;
use jiff::Timestamp;
use uuid::{ContextV7, Uuid};

use super::AuditError;
use crate::domain::audit::{CommitmentKey, Stamp};

/// Makes stamps whose times and ids never go back, whatever the clock does.
pub(super) struct Stamps {
    ids: ContextV7,
    last: Timestamp,
}

impl Default for Stamps {
    fn default() -> Self {
        Self {
            ids: ContextV7::new(),
            last: Timestamp::UNIX_EPOCH,
        }
    }
}

impl Stamps {
    /// So many stamps.
    pub(super) fn take(&mut self, number: usize) -> Result<Vec<Stamp>, AuditError> {
        (0..number).map(|_| self.next()).collect()
    }

    /// The next stamp.
    pub(super) fn next(&mut self) -> Result<Stamp, AuditError> {
        let time = Timestamp::now().max(self.last);
        self.last = time;
        let seconds = u64::try_from(time.as_second()).unwrap_or_default();
        let nanoseconds = u32::try_from(time.subsec_nanosecond()).unwrap_or_default();
        let id = Uuid::new_v7(uuid::Timestamp::from_unix(&self.ids, seconds, nanoseconds));
        let mut key = CommitmentKey::default();
        rand::fill(&mut key).map_err(|_| AuditError::Random)?;
        Ok(Stamp { id, time, key })
    }
}
