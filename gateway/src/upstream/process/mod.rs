//! An MCP server as a child process that speaks over its standard streams
//! (MCP 2025-11-25, Transports, "stdio").
//!
//! One child serves one session. It has a directory of its own (`HOME` and
//! `TMPDIR`), which is removed with it, and a process group of its own, which ends
//! with it as do those that left the group (`strays`); it sees no environment variables but those declared and `PATH`, `HOME`
//! and `TMPDIR`. On Linux it is confined (`confine`): it writes to its directory
//! only, and cannot look into those of other sessions.

mod child;
mod confine;
#[cfg(target_os = "linux")]
mod domain;
mod lines;
mod routes;
#[cfg(target_os = "linux")]
mod strays;

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use child::Launch;
use routes::{Route, Routes};

use super::deadline::Deadline;
use super::error::UpstreamError;
use super::reply::{Call, Reply};
use crate::domain::mcp::ServerMessage;

/// Messages that may wait for the child to read them.
const QUEUE: usize = 64;

/// A running child. It ends, with all it started, when this is dropped.
#[derive(Debug)]
pub struct Process {
    lines: mpsc::Sender<String>,
    routes: Arc<Routes>,
    patience: Duration,
    _end: DropGuard,
}

impl Process {
    /// Starts a program. `patience` is the longest silence before a call is
    /// given up, `message_bytes` the largest message accepted from the child.
    ///
    /// # Errors
    /// [`UpstreamError::Start`].
    pub fn start(
        launch: &Launch,
        message_bytes: usize,
        patience: Duration,
    ) -> Result<Self, UpstreamError> {
        let (lines, queue) = mpsc::channel(QUEUE);
        let routes = Arc::new(Routes::default());
        let ended = CancellationToken::new();
        let streams = child::start(launch, ended.clone())
            .map_err(|source| UpstreamError::Start(Arc::new(source)))?;
        tokio::spawn(lines::write(streams.input, queue));
        tokio::spawn(child::log_errors(launch.name.clone(), streams.errors));
        tokio::spawn(lines::read(
            streams.output,
            message_bytes,
            routes.clone(),
            lines.clone(),
            ended.clone(),
        ));
        Ok(Self {
            lines,
            routes,
            patience,
            _end: ended.drop_guard(),
        })
    }

    /// Whether the child still runs.
    pub fn is_running(&self) -> bool {
        !self.routes.ended()
    }

    /// Sends a request and waits for the first message that belongs to it.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn call(&self, call: Call) -> Result<Reply, UpstreamError> {
        let deadline = Deadline::start(self.patience);
        let route = self.routes.open(&call)?;
        self.send(call.text).await?;
        let mut waiting = Waiting { route, deadline };
        let first = waiting.next().await?;
        if is_answer(&first) {
            return Ok(Reply::Message(first));
        }
        let head = stream::iter([Ok(first)]);
        let rest = stream::unfold(Some(waiting), |waiting| async move {
            let mut waiting = waiting?;
            let next = waiting.next().await;
            let more = next.as_deref().is_ok_and(|text| !is_answer(text));
            Some((next, more.then_some(waiting)))
        });
        Ok(Reply::Stream(head.chain(rest).boxed()))
    }

    /// Sends a notification, or the client's answer to a request of the child.
    ///
    /// # Errors
    /// [`UpstreamError::Exited`], or [`UpstreamError::Timeout`] if the child does not read.
    pub async fn send(&self, text: String) -> Result<(), UpstreamError> {
        match timeout(self.patience, self.lines.send(text)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(UpstreamError::Exited),
            Err(_) => Err(UpstreamError::Timeout(self.patience)),
        }
    }
}

/// A call whose answer has not come yet.
struct Waiting {
    route: Route,
    deadline: Deadline,
}

impl Waiting {
    async fn next(&mut self) -> Result<String, UpstreamError> {
        let text = self.deadline.wait(self.route.next()).await?;
        if let Some(message) = ServerMessage::peek(&text) {
            self.deadline.heard(&message);
        }
        Ok(text)
    }
}

fn is_answer(text: &str) -> bool {
    ServerMessage::peek(text).is_some_and(|message| message.is_answer())
}

#[cfg(test)]
#[path = "../process_tests.rs"]
mod tests;
