//! The calls of one client's session that this process has under way, so that
//! the client can cancel each by its id.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::domain::mcp::same_id;
use crate::upstream::Connection;

/// The calls under way. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    next: u64,
}

#[derive(Debug)]
struct Call {
    number: u64,
    id: String,
    connection: Arc<Connection>,
    cancelled: CancellationToken,
}

/// A call under way; it is so until this is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    calls: InFlight,
    number: u64,
    /// Triggered when the client does not want the answer any more.
    pub(super) cancelled: CancellationToken,
}

impl InFlight {
    /// Notes a call with the id as it is written in the request.
    pub(super) fn begin(&self, id: &str, connection: &Arc<Connection>) -> Ticket {
        let cancelled = CancellationToken::new();
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.calls.push(Call {
            number,
            id: id.to_owned(),
            connection: connection.clone(),
            cancelled: cancelled.clone(),
        });
        Ticket {
            calls: self.clone(),
            number,
            cancelled,
        }
    }

    /// Gives up the call with an id; the connection it runs on, if it is one of these.
    pub(super) fn cancel(&self, id: &str) -> Option<Arc<Connection>> {
        let state = self.lock();
        let call = state.calls.iter().find(|call| same_id(&call.id, id))?;
        call.cancelled.cancel();
        Some(call.connection.clone())
    }

    /// Gives up all calls: their session has ended.
    pub(super) fn cancel_all(&self) {
        for call in &self.lock().calls {
            call.cancelled.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let number = self.number;
        self.calls.lock().calls.retain(|call| call.number != number);
    }
}
