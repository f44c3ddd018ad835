//! Which message of a child belongs to which call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::domain::mcp::{ServerKind, ServerMessage, same_id};
use crate::upstream::{Call, UpstreamError};

/// Messages of one call that may wait for the client to read them.
const QUEUE: usize = 64;

type Item = Result<String, UpstreamError>;

/// The calls in flight, oldest first.
#[derive(Debug, Default)]
pub(super) struct Routes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    calls: Vec<InFlight>,
    next: u64,
    ended: Option<UpstreamError>,
}

#[derive(Debug)]
struct InFlight {
    number: u64,
    id: String,
    progress_token: Option<String>,
    messages: mpsc::Sender<Item>,
}

/// What became of a message.
pub(super) enum Routed {
    /// A call got it.
    Delivered,
    /// No call in flight may get it; the id, if it was a request.
    Unheard { request: Option<String> },
}

/// The receiving end of a call; the call is forgotten when it is dropped.
pub(super) struct Route {
    routes: Arc<Routes>,
    number: u64,
    messages: mpsc::Receiver<Item>,
}

impl Routes {
    /// A route for the messages of a call.
    pub(super) fn open(self: &Arc<Self>, call: &Call) -> Result<Route, UpstreamError> {
        let mut state = self.lock();
        if let Some(why) = &state.ended {
            return Err(why.clone());
        }
        if state.calls.iter().any(|other| same_id(&other.id, &call.id)) {
            return Err(UpstreamError::IdInUse);
        }
        let (sender, messages) = mpsc::channel(QUEUE);
        let number = state.next;
        state.next += 1;
        state.calls.push(InFlight {
            number,
            id: call.id.clone(),
            progress_token: call.progress_token.clone(),
            messages: sender,
        });
        drop(state);
        Ok(Route {
            routes: self.clone(),
            number,
            messages,
        })
    }

    /// Gives a message to its call: an answer by its id, progress by its token, and
    /// what names no call to the oldest one, since all calls are of one client.
    pub(super) async fn deliver(&self, text: String) -> Routed {
        let (recipient, request) = self.recipient(&text);
        match recipient {
            Some(recipient) => {
                // Fails if the caller went away meanwhile; then nobody misses it.
                let _ = recipient.send(Ok(text)).await;
                Routed::Delivered
            }
            None => Routed::Unheard { request },
        }
    }

    /// Fails the calls in flight; the child goes on.
    pub(super) async fn fail(&self, why: UpstreamError) {
        let calls = std::mem::take(&mut self.lock().calls);
        for call in calls {
            let _ = call.messages.send(Err(why.clone())).await;
        }
    }

    /// Fails the calls in flight and all later ones.
    pub(super) async fn end(&self, why: UpstreamError) {
        self.lock().ended = Some(why.clone());
        self.fail(why).await;
    }

    /// Whether no call can be answered any more.
    pub(super) fn ended(&self) -> bool {
        self.lock().ended.is_some()
    }

    fn recipient(&self, text: &str) -> (Option<mpsc::Sender<Item>>, Option<String>) {
        let Some(message) = ServerMessage::peek(text) else {
            return (None, None);
        };
        let state = self.lock();
        let found = match &message.kind {
            ServerKind::Result { id, .. } | ServerKind::Error { id: Some(id), .. } => {
                state.calls.iter().find(|call| same_id(&call.id, id.get()))
            }
            ServerKind::Notification {
                progress_token: Some(token),
                ..
            } => state.calls.iter().find(|call| {
                call.progress_token
                    .as_deref()
                    .is_some_and(|own| same_id(own, token))
            }),
            _ => state.calls.first(),
        };
        let request = match &message.kind {
            ServerKind::Request { id, .. } => Some(id.get().to_owned()),
            _ => None,
        };
        (found.map(|call| call.messages.clone()), request)
    }

    fn forget(&self, number: u64) {
        self.lock().calls.retain(|call| call.number != number);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Route {
    pub(super) async fn next(&mut self) -> Item {
        match self.messages.recv().await {
            Some(item) => item,
            None => Err(UpstreamError::Interrupted),
        }
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        self.routes.forget(self.number);
    }
}
