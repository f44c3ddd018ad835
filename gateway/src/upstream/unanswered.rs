//! Cancels calls that are given up before they are answered (MCP 2025-11-25,
//! "Cancellation"), however that comes about: a timeout, an answer that cannot be
//! read, or whoever waited having gone.

use futures::{StreamExt, stream};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::error::UpstreamError;
use super::reply::Messages;

/// A call whose answer has not come. The server is told when this is dropped.
#[derive(Debug)]
pub(super) struct Unanswered {
    /// Absent once nothing is left to cancel.
    call: Option<(Connection, String)>,
}

impl Unanswered {
    /// A call with the id as it is written in the request.
    pub(super) fn new(connection: &Connection, id: &str) -> Self {
        Self {
            call: Some((connection.clone(), id.to_owned())),
        }
    }

    /// Nothing is left to cancel: the answer is there, or the client has cancelled itself.
    pub(super) fn settle(&mut self) {
        self.call = None;
    }

    /// Settles with an error after which the server is not at work on the call.
    pub(super) fn settle_by(&mut self, error: &UpstreamError) {
        if !error.leaves_at_work() {
            self.settle();
        }
    }

    /// The messages of the call, until it is cancelled. The call is settled when
    /// they end with the answer.
    pub(super) fn watch(self, messages: Messages, cancelled: CancellationToken) -> Messages {
        let state = Some((messages, self));
        let watched = stream::unfold((state, cancelled), |(state, cancelled)| async move {
            let (mut messages, mut call) = state?;
            let next = tokio::select! {
                biased;
                () = cancelled.cancelled() => Some(Err(UpstreamError::Cancelled)),
                next = messages.next() => next,
            };
            match next {
                Some(Ok(text)) => Some((Ok(text), (Some((messages, call)), cancelled))),
                Some(Err(error)) => {
                    call.settle_by(&error);
                    Some((Err(error), (None, cancelled)))
                }
                None => {
                    call.settle();
                    None
                }
            }
        });
        watched.boxed()
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        let (Some((connection, id)), Ok(runtime)) = (self.call.take(), Handle::try_current())
        else {
            return;
        };
        runtime.spawn(async move {
            let text = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"nobody waits for the answer any more"}}}}"#
            );
            if let Err(error) = connection.send(text).await {
                let server = connection.server().name();
                tracing::debug!(server, %error, "a server was not told that a call is cancelled");
            }
        });
    }
}
