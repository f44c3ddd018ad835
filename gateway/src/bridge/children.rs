//! The children of a bridge, one for each MCP session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::upstream::UpstreamError;
use crate::upstream::process::{Launch, Process};

/// Largest message of a child, in bytes; the gateway's own limit is lower.
const MESSAGE_BYTES: usize = 64 * 1024 * 1024;
/// The gateway gives calls up; the bridge only must not wait for ever.
const PATIENCE: Duration = Duration::from_secs(3600);
/// A session that is not used for so long has been forgotten by the gateway.
const IDLE: Duration = Duration::from_secs(2 * 3600);
/// How often idle sessions are looked for.
const SWEEP: Duration = Duration::from_secs(30);
/// Most children at once: the pod's memory is shared by all of them.
const MOST: usize = 256;

/// The children at work.
#[derive(Clone)]
pub(super) struct Children {
    launch: Arc<Launch>,
    sessions: Arc<Mutex<HashMap<Uuid, Session>>>,
    _sweeper: Arc<DropGuard>,
}

struct Session {
    process: Arc<Process>,
    used: Instant,
}

impl Children {
    /// No children yet.
    pub(super) fn new(launch: Launch) -> Self {
        let sessions = Arc::default();
        let stop = CancellationToken::new();
        tokio::spawn(sweep(Arc::clone(&sessions), stop.clone()));
        Self {
            launch: Arc::new(launch),
            sessions,
            _sweeper: Arc::new(stop.drop_guard()),
        }
    }

    /// Starts a child; nothing if there are too many.
    pub(super) fn start(&self) -> Option<Result<Arc<Process>, UpstreamError>> {
        if lock(&self.sessions).len() >= MOST {
            return None;
        }
        let started = Process::start(&self.launch, MESSAGE_BYTES, PATIENCE);
        Some(started.map(Arc::new))
    }

    /// Gives a child its session.
    pub(super) fn keep(&self, process: Arc<Process>) -> Uuid {
        let id = Uuid::new_v4();
        let used = Instant::now();
        lock(&self.sessions).insert(id, Session { process, used });
        id
    }

    /// The child of a session, while it runs.
    pub(super) fn get(&self, id: Uuid) -> Option<Arc<Process>> {
        let mut sessions = lock(&self.sessions);
        let session = sessions.get_mut(&id)?;
        if !session.process.is_running() {
            sessions.remove(&id);
            return None;
        }
        session.used = Instant::now();
        Some(session.process.clone())
    }

    /// Ends a session; `false` if there is none.
    pub(super) fn end(&self, id: Uuid) -> bool {
        lock(&self.sessions).remove(&id).is_some()
    }
}

async fn sweep(sessions: Arc<Mutex<HashMap<Uuid, Session>>>, stop: CancellationToken) {
    let mut rounds = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = rounds.tick() => {}
            () = stop.cancelled() => return,
        }
        lock(&sessions)
            .retain(|_, session| session.process.is_running() && session.used.elapsed() < IDLE);
    }
}

fn lock(sessions: &Mutex<HashMap<Uuid, Session>>) -> MutexGuard<'_, HashMap<Uuid, Session>> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}
