//! Event streams that are open: few for each user, all closed at shutdown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::auth::Caller;
use crate::store::TenantId;

/// Most streams of one user on one replica.
const MOST: usize = 8;

type User = (TenantId, Arc<str>);

/// The open streams of this process. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    open: Arc<Mutex<HashMap<User, usize>>>,
    closing: CancellationToken,
}

/// A place among a user's streams, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    streams: Streams,
    user: User,
}

impl Streams {
    /// A place for one more stream of the caller; none if they have enough.
    pub(super) fn open(&self, caller: &Caller) -> Option<Place> {
        let user = (caller.tenant_id(), caller.user.clone());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user.clone()).or_default();
        if *count >= MOST {
            return None;
        }
        *count += 1;
        let streams = self.clone();
        Some(Place { streams, user })
    }

    /// Ends all streams, for good.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Done when the streams are to end.
    pub(super) fn closed(&self) -> WaitForCancellationFutureOwned {
        self.closing.clone().cancelled_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let open = self.streams.open.lock();
        let mut open = open.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}
