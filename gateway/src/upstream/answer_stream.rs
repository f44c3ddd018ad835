//! The messages of an event stream up to the answer to one request. A stream that
//! ends early, or breaks, is taken up again where it ended, as far as the server
//! names its events (MCP 2025-11-25, Transports, "Resumability and Redelivery").

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use http::HeaderValue;
use hyper::body::Incoming;
use tokio::time::sleep;

use super::deadline::Deadline;
use super::error::UpstreamError;
use super::event_stream::{Event, Events, events};
use super::streamable_http::{SessionHeaders, StreamableHttp};
use crate::domain::mcp::{ServerMessage, batch_items};

/// Wait before reconnecting where the server names none.
const RETRY: Duration = Duration::from_secs(1);
/// Shortest wait: a server that names less is not to be hammered.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);

/// A stream that has not given the answer yet.
pub(super) struct AnswerStream {
    pub(super) http: Arc<StreamableHttp>,
    pub(super) session: SessionHeaders,
    /// Id of the request as it was written.
    pub(super) id: String,
    pub(super) deadline: Deadline,
    events: Events,
    /// Messages of a batch that were not given out yet.
    batch: VecDeque<String>,
    last_event: Option<HeaderValue>,
    retry: Duration,
}

impl AnswerStream {
    pub(super) fn new(
        http: Arc<StreamableHttp>,
        session: SessionHeaders,
        id: String,
        deadline: Deadline,
        body: Incoming,
    ) -> Self {
        let events = events(body, http.message_bytes);
        Self {
            http,
            session,
            id,
            deadline,
            events,
            batch: VecDeque::new(),
            last_event: None,
            retry: RETRY,
        }
    }

    /// All messages up to and with the answer, or an error if it does not come.
    pub(super) fn messages(self) -> BoxStream<'static, Result<String, UpstreamError>> {
        let messages = stream::unfold(Some(self), |state| async move {
            let mut state = state?;
            Some(match state.next().await {
                Ok((text, false)) => (Ok(text), Some(state)),
                Ok((answer, true)) => (Ok(answer), None),
                Err(error) => (Err(error), None),
            })
        });
        messages.boxed()
    }

    /// The next message, and whether it is the answer.
    async fn next(&mut self) -> Result<(String, bool), UpstreamError> {
        let deadline = self.deadline;
        let text = deadline.wait(self.next_text()).await?;
        let message = ServerMessage::peek(&text).ok_or(UpstreamError::Invalid(
            "an event does not hold a JSON-RPC message",
        ))?;
        self.deadline.heard(&message);
        let is_answer = message.is_answer();
        if is_answer && !message.answers(&self.id) {
            return Err(UpstreamError::Invalid("the response is to another request"));
        }
        Ok((text, is_answer))
    }

    async fn next_text(&mut self) -> Result<String, UpstreamError> {
        loop {
            if let Some(text) = self.batch.pop_front() {
                return Ok(text);
            }
            match self.events.next().await {
                Some(Ok(event)) => {
                    let Some(data) = self.remember(event) else {
                        continue;
                    };
                    match self
                        .session
                        .may_batch()
                        .then(|| batch_items(&data))
                        .flatten()
                    {
                        Some(items) => self.batch.extend(items),
                        None => return Ok(data),
                    }
                }
                None | Some(Err(UpstreamError::Interrupted)) => self.reconnect().await?,
                Some(Err(error)) => return Err(error),
            }
        }
    }

    /// Remembers how to go on after an event, and gives back its data.
    fn remember(&mut self, event: Event) -> Option<String> {
        if let Some(id) = event.id {
            // An empty id means that there is none to go on from (9.2.6).
            let id = Some(id).filter(|id| !id.is_empty());
            self.last_event = id.and_then(|id| HeaderValue::from_str(&id).ok());
        }
        if let Some(retry) = event.retry {
            self.retry = retry.max(SHORTEST_RETRY);
        }
        event.data
    }

    /// Takes the stream up after the last event. A server that cannot be reached
    /// just now is asked again, for as long as its silence is borne.
    async fn reconnect(&mut self) -> Result<(), UpstreamError> {
        let last = self.last_event.clone().ok_or(UpstreamError::Interrupted)?;
        loop {
            sleep(self.retry).await;
            match self.http.resume(&self.session, last.clone()).await {
                Ok(body) => {
                    self.events = events(body, self.http.message_bytes);
                    return Ok(());
                }
                Err(UpstreamError::SessionLost) => return Err(UpstreamError::SessionLost),
                Err(error) if error.retryable() => {
                    tracing::debug!(%error, "an event stream cannot be taken up yet");
                }
                Err(_) => return Err(UpstreamError::Interrupted),
            }
        }
    }
}
