//! A session with one upstream, over whichever transport.

use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use http::HeaderValue;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::error::UpstreamError;
use super::process::Process;
use super::reply::{Call, Reply};
use super::resilience::Operation;
use super::server::{Server, Transport, headers};
use super::streamable_http::SessionHeaders;
use super::tokens::Principal;
use super::unanswered::Unanswered;
use crate::domain::mcp::{REVISIONS, ServerKind, ServerMessage};
use crate::store::UpstreamState;

/// An initialized session with one upstream.
#[derive(Clone, Debug)]
pub struct Connection {
    server: Arc<Server>,
    link: Link,
    revision: String,
}

#[derive(Clone, Debug)]
enum Link {
    Http(SessionHeaders),
    Process(Arc<Process>),
}

/// What matters of a server's `initialize` result.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    protocol_version: String,
    #[serde(default)]
    capabilities: Value,
}

impl Connection {
    pub(super) async fn open(
        server: Arc<Server>,
        principal: Arc<Principal>,
        initialize: Call,
    ) -> Result<(Self, String), UpstreamError> {
        let started = Instant::now();
        let at = server.clone();
        let handshake =
            move || Self::handshake(at.clone(), principal.clone(), initialize.clone()).boxed();
        let opened = server.perform(Operation::Connect, handshake).await;
        server.measure(Operation::Connect, &opened, started);
        opened
    }

    async fn handshake(
        server: Arc<Server>,
        principal: Arc<Principal>,
        initialize: Call,
    ) -> Result<(Self, String), UpstreamError> {
        let (link, answer) = match server.transport() {
            Transport::Http(http) => {
                let mut link = SessionHeaders {
                    principal: Some(principal),
                    ..SessionHeaders::default()
                };
                let (reply, session_id) = http.call(&link, initialize).await?;
                link.session_id = session_id;
                (Link::Http(link), reply.response().await?)
            }
            Transport::Process(program) => {
                let process = program.start(&server.config).await?;
                let answer = process.call(initialize).await?.response().await?;
                (Link::Process(Arc::new(process)), answer)
            }
        };
        let initialized = read(&answer)?;
        let link = match link {
            Link::Http(session) => Link::Http(SessionHeaders {
                protocol_version: HeaderValue::from_str(&initialized.protocol_version).ok(),
                ..session
            }),
            process @ Link::Process(_) => process,
        };
        server.learn(initialized.capabilities);
        let connection = Self {
            server,
            link,
            revision: initialized.protocol_version,
        };
        Ok((connection, answer))
    }

    /// The session that another replica, or this one before it was restarted, has
    /// opened. A child process does not outlive the gateway that started it.
    pub(super) fn resume(
        server: Arc<Server>,
        principal: Arc<Principal>,
        state: &UpstreamState,
    ) -> Option<Self> {
        let Transport::Http(_) = server.transport() else {
            return None;
        };
        let session = headers(
            principal,
            state.session_id.as_deref(),
            &state.protocol_version,
        )?;
        Some(Self {
            server,
            link: Link::Http(session),
            revision: state.protocol_version.clone(),
        })
    }

    /// The same session after the server's configuration has changed; nothing if
    /// the target is another one, which must not see the session.
    pub(super) fn moved_to(&self, server: &Arc<Server>) -> Option<Self> {
        (self.server.config.target == server.config.target).then(|| Self {
            server: server.clone(),
            link: self.link.clone(),
            revision: self.revision.clone(),
        })
    }

    /// The server at the other end.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// What another replica needs to go on with the session.
    pub(super) fn state(&self) -> UpstreamState {
        let session_id = match &self.link {
            Link::Http(session) => session
                .session_id
                .as_ref()
                .and_then(|id| id.to_str().ok())
                .map(str::to_owned),
            Link::Process(_) => None,
        };
        UpstreamState {
            session_id,
            protocol_version: self.revision.clone(),
        }
    }

    /// Whether the session is known to have ended.
    pub(super) fn is_lost(&self) -> bool {
        matches!(&self.link, Link::Process(process) if !process.is_running())
    }

    /// Sends a request. The server is told if the answer is not waited for to the
    /// end; `cancelled` is triggered where the client has told it already.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn call(
        &self,
        operation: Operation,
        call: Call,
        cancelled: &CancellationToken,
    ) -> Result<Reply, UpstreamError> {
        let mut unanswered = Unanswered::new(self, &call.id);
        let connection = self.clone();
        let request = move || {
            let (connection, call) = (connection.clone(), call.clone());
            async move { connection.request(call).await }.boxed()
        };
        let replied = tokio::select! {
            biased;
            () = cancelled.cancelled() => Err(UpstreamError::Cancelled),
            replied = self.server.perform(operation, request) => replied,
        };
        match replied {
            Ok(Reply::Message(text)) => {
                unanswered.settle();
                Ok(Reply::Message(text))
            }
            Ok(Reply::Stream(messages)) => {
                let watched = unanswered.watch(messages, cancelled.clone());
                Ok(Reply::Stream(watched))
            }
            Err(error) => {
                unanswered.settle_by(&error);
                Err(error)
            }
        }
    }

    async fn request(&self, call: Call) -> Result<Reply, UpstreamError> {
        match (&self.link, self.server.transport()) {
            (Link::Http(session), Transport::Http(http)) => {
                http.call(session, call).await.map(|(reply, _)| reply)
            }
            (Link::Process(process), _) => process.call(call).await,
            (Link::Http(_), Transport::Process(_)) => Err(UpstreamError::SessionLost),
        }
    }

    /// Sends a notification, or the client's answer to a request of the server.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn send(&self, text: String) -> Result<(), UpstreamError> {
        match (&self.link, self.server.transport()) {
            (Link::Http(session), Transport::Http(http)) => http.send(session, text).await,
            (Link::Process(process), _) => process.send(text).await,
            (Link::Http(_), Transport::Process(_)) => Err(UpstreamError::SessionLost),
        }
    }

    /// Ends the session at the server; a child process ends when the connection is dropped.
    pub async fn end(&self) -> Result<(), UpstreamError> {
        let (Link::Http(session), Transport::Http(http)) = (&self.link, self.server.transport())
        else {
            return Ok(());
        };
        if session.session_id.is_none() {
            return Ok(());
        }
        let started = Instant::now();
        let (http, session) = (http.clone(), session.clone());
        let end = move || {
            let (http, session) = (http.clone(), session.clone());
            async move { http.end(&session).await }.boxed()
        };
        let ended = self.server.perform(Operation::Disconnect, end).await;
        self.server.measure(Operation::Disconnect, &ended, started);
        ended
    }
}

/// Reads the answer to `initialize`.
fn read(answer: &str) -> Result<Initialized, UpstreamError> {
    let message = ServerMessage::peek(answer).ok_or(UpstreamError::Invalid(
        "initialize was not answered with a message",
    ))?;
    let result = match message.kind {
        ServerKind::Result { result, .. } => result,
        ServerKind::Error { error, .. } => {
            return Err(UpstreamError::Handshake(error.to_owned()));
        }
        _ => return Err(UpstreamError::Invalid("initialize was not answered")),
    };
    let initialized: Initialized = serde_json::from_str(result)
        .map_err(|_| UpstreamError::Invalid("initialize was answered without protocolVersion"))?;
    if !REVISIONS.contains(&initialized.protocol_version.as_str()) {
        return Err(UpstreamError::Revision(initialized.protocol_version));
    }
    Ok(initialized)
}
