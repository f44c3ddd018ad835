//! Progress notifications to a client that asked for them.

use rmcp::model::{ProgressNotificationParam, RequestMetaObject};
use rmcp::{ErrorData, Peer, RoleServer};

/// Reports how far a tool call has come.
pub(super) struct Progress {
    client: Peer<RoleServer>,
    meta: RequestMetaObject,
    total: usize,
}

impl Progress {
    pub(super) fn new(client: Peer<RoleServer>, meta: RequestMetaObject, total: usize) -> Self {
        Self {
            client,
            meta,
            total,
        }
    }

    /// Says that `done` of the total are done; silent if the client gave no token.
    pub(super) async fn report(&self, done: usize, message: String) -> Result<(), ErrorData> {
        let Some(token) = self.meta.get_progress_token() else {
            return Ok(());
        };
        // Counts of samples are far below where f64 loses precision.
        let notification = ProgressNotificationParam::new(token, done as f64)
            .with_total(self.total as f64)
            .with_message(message);
        let sent = self.client.notify_progress(notification).await;
        sent.map_err(|error| ErrorData::internal_error(error.to_string(), None))
    }
}
