//! What happens in a session, as a stream of server-sent events.
//!
//! Events are in the store, so any replica streams any session, and a client
//! goes on elsewhere with `Last-Event-ID` (HTML Living Standard, 9.2).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, stream};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::problem::ProblemDocument;
use super::sessions::session_id;
use super::streams::{Full, Place};
use super::{AppState, ErrorCode, Problem};
use crate::auth::Caller;
use crate::store::SessionEvent;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How often the store is asked for more.
const POLL: Duration = Duration::from_secs(1);
/// Most events read at once.
const BATCH: u32 = 100;
/// After which a stream ends and the client comes again, with a token that still counts.
const LIFETIME: Duration = Duration::from_secs(300);
/// After which a store that does not answer ends the stream.
const PATIENCE: Duration = Duration::from_secs(30);

/// One event as it is sent.
#[derive(Serialize)]
struct EventDocument {
    kind: String,
    time: Timestamp,
    data: serde_json::Value,
}

/// Streams what happens in a session
///
/// The `data` of each event is a JSON object: its `kind` (`session.created`,
/// `session.updated`, `member.set`, `member.removed`; `session.ended` when the session
/// has ended or the caller may not see it any more; `events.lost` when events after
/// `Last-Event-ID` are no longer kept), its `time` and what is to be said of it, `data`.
/// Each event has an `id`: whoever sends the last one as `Last-Event-ID` gets what
/// came after it. A stream ends after five minutes: connect again.
#[utoipa::path(
    get, path = "/v1/sessions/{id}/events", tag = "sessions",
    params(("id" = Uuid, Path), ("Last-Event-ID" = Option<u64>, Header)),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn stream_events(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (session, after) = (session_id(&id)?, last_event(&headers)?);
    let mut following = Following {
        session,
        after,
        pending: VecDeque::new(),
        ended: false,
        opened: Instant::now(),
        answered: Instant::now(),
        _place: None,
        state,
        caller,
    };
    let first = following.read().await?.ok_or_else(Problem::not_found)?;
    following._place = Some(following.place()?);
    following.take(first);
    let closed = following.state.streams.closed();
    let events = futures::StreamExt::take_until(events(following), closed);
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response())
}

/// A client on its way through a session's events.
struct Following {
    state: AppState,
    caller: Caller,
    session: Uuid,
    after: u64,
    pending: VecDeque<Event>,
    ended: bool,
    opened: Instant,
    answered: Instant,
    _place: Option<Place>,
}

impl Following {
    fn place(&self) -> Result<Place, Problem> {
        let cap = self.caller.tenant.config.concurrency.streams;
        let most = self.state.admission.own_part(cap);
        self.state.streams.open(&self.caller, most).map_err(|full| {
            let detail = match full {
                Full::User => {
                    "the user has as many event streams as a replica keeps: close one first"
                }
                Full::Organization => "the organization has as many event streams as it may",
            };
            Problem::new(ErrorCode::StreamLimit, detail).retry_after(1)
        })
    }

    async fn read(&self) -> Result<Option<Vec<SessionEvent>>, Problem> {
        let (tenant, user) = (self.caller.tenant_id(), &self.caller.user);
        let store = &self.state.store;
        let events = store.session_events(tenant, user, self.session, self.after, BATCH);
        Ok(events.await?)
    }

    /// Puts events in line to be sent.
    fn take(&mut self, events: Vec<SessionEvent>) {
        if let Some(first) = events.first().map(|event| event.sequence)
            && first > self.after + 1
        {
            let lost = serde_json::json!({ "after": self.after, "before": first });
            self.say("events.lost", lost);
        }
        for event in events {
            self.after = event.sequence;
            let document = EventDocument {
                kind: event.kind,
                time: event.time,
                data: event.data,
            };
            self.send(document, Some(event.sequence));
        }
    }

    /// An event of the stream's own, which is not the session's and has no id.
    fn say(&mut self, kind: &str, data: serde_json::Value) {
        let document = EventDocument {
            kind: kind.to_owned(),
            time: Timestamp::now(),
            data,
        };
        self.send(document, None);
    }

    fn send(&mut self, document: EventDocument, id: Option<u64>) {
        let event = Event::default().event(&document.kind).json_data(&document);
        match event {
            Ok(event) => {
                let with_id = match id {
                    Some(id) => event.id(id.to_string()),
                    None => event,
                };
                self.pending.push_back(with_id);
            }
            Err(error) => tracing::error!(%error, "an event cannot be written"),
        }
    }

    /// Whether the organization still serves its callers.
    fn is_served(&self) -> bool {
        let name = &self.caller.tenant.config.organization;
        let current = self.state.tenants.get(name);
        current
            .is_some_and(|tenant| tenant.id == self.caller.tenant_id() && !tenant.config.suspended)
    }

    /// Waits for something to send. `false` when the stream ends.
    async fn wait(&mut self) -> bool {
        while self.pending.is_empty() {
            if self.ended || self.opened.elapsed() > LIFETIME || !self.is_served() {
                return false;
            }
            tokio::time::sleep(POLL).await;
            match self.read().await {
                Ok(Some(events)) => {
                    self.answered = Instant::now();
                    self.take(events);
                }
                Ok(None) => {
                    self.ended = true;
                    self.say("session.ended", serde_json::json!({}));
                }
                Err(_) if self.answered.elapsed() < PATIENCE => {}
                Err(_) => return false,
            }
        }
        true
    }
}

fn events(following: Following) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(following, |mut following| async move {
        let more = following.wait().await;
        let event = following.pending.pop_front().filter(|_| more)?;
        Some((Ok(event), following))
    })
}

/// Where the client left off; 0 for one that begins.
fn last_event(headers: &HeaderMap) -> Result<u64, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(0);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        let detail = "Last-Event-ID must be the id of an event of this stream";
        Problem::new(ErrorCode::InvalidRequest, detail)
    })
}
