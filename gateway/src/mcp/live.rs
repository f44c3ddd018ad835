//! MCP sessions of clients, as this process serves them.
//!
//! The store has every session; a process keeps the ones it serves at hand,
//! with their upstream connections, and asks the store again after a few seconds,
//! so that a session that was ended through another replica ends here too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use moka::Expiry;
use moka::future::Cache;
use uuid::Uuid;

use super::handlers::Exchange;
use super::in_flight::InFlight;
use crate::auth::Caller;
use crate::domain::mcp::carried;
use crate::http::Problem;
use crate::store::{McpScope, McpSession, Store, StoreError, TenantId};
use crate::upstream::{Client, Connection, UpstreamSessions};

/// How long a session is taken for live without asking the store.
const FRESH: Duration = Duration::from_secs(5);
/// Most sessions at hand; others are read from the store again.
const MOST: u64 = 100_000;

type Key = (TenantId, Uuid);

/// One MCP session of a client.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) id: Uuid,
    pub(super) upstreams: Arc<UpstreamSessions>,
    pub(super) client_capabilities: serde_json::Value,
    /// Revision negotiated with the client.
    pub(super) revision: String,
    /// Calls that this process has under way.
    pub(super) calls: InFlight,
    user: String,
    scope: McpScope,
    expires_at: Timestamp,
    idle_timeout: Duration,
    checked: Mutex<Instant>,
}

/// The sessions at hand.
#[derive(Clone)]
pub(super) struct LiveSessions {
    store: Arc<dyn Store>,
    sessions: Cache<Key, Arc<Live>>,
}

impl std::fmt::Debug for LiveSessions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sessions = formatter.debug_struct("LiveSessions");
        sessions.field("count", &self.sessions.entry_count());
        sessions.finish_non_exhaustive()
    }
}

impl LiveSessions {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let sessions = Cache::builder()
            .max_capacity(MOST)
            .expire_after(Idle)
            .build();
        Self { store, sessions }
    }

    /// A session that has just been made; it is in the store when this returns.
    pub(super) async fn begin(
        &self,
        caller: &Caller,
        session: McpSession,
    ) -> Result<Arc<Live>, StoreError> {
        self.store
            .create_mcp_session(caller.tenant_id(), &session)
            .await?;
        let key = (caller.tenant_id(), session.id);
        let live = Arc::new(self.live(caller, session));
        self.sessions.insert(key, live.clone()).await;
        Ok(live)
    }

    /// The caller's session of that id and scope. Another user's, and one that
    /// reaches something else, are like one that does not exist.
    pub(super) async fn get(
        &self,
        exchange: &Exchange,
        id: &str,
    ) -> Result<Option<Arc<Live>>, Problem> {
        let Exchange {
            caller,
            servers,
            scope,
            ..
        } = exchange;
        let Ok(id) = id.parse() else {
            return Ok(None);
        };
        let key = (caller.tenant_id(), id);
        let at_hand = self.sessions.get(&key).await;
        let live = match at_hand.filter(|live| live.is_fresh()) {
            Some(live) => live,
            None => match self.read(caller, key).await? {
                Some(live) => live,
                None => return Ok(None),
            },
        };
        live.upstreams.retain(|name| servers.get(name).is_some());
        let fits = live.user == *caller.user
            && live.scope == scope.stored()
            && live.expires_at > Timestamp::now();
        Ok(fits.then_some(live))
    }

    /// Ends a session; `false` if somebody else has ended it meanwhile.
    pub(super) async fn end(&self, caller: &Caller, live: &Live) -> Result<bool, StoreError> {
        let tenant = caller.tenant_id();
        let ended = self
            .store
            .end_mcp_session(tenant, &caller.user, live.id)
            .await?;
        self.sessions.invalidate(&(tenant, live.id)).await;
        live.calls.cancel_all();
        Ok(ended)
    }

    /// Forgets the sessions of a tenant; returns the upstream connections that they had open.
    pub(super) async fn take_all(&self, tenant: TenantId) -> Vec<Arc<Connection>> {
        let theirs = self.sessions.iter().filter(|(key, _)| key.0 == tenant);
        let theirs: Vec<_> = theirs.collect();
        let mut connections = Vec::new();
        for (key, live) in theirs {
            connections.extend(live.upstreams.open_now());
            self.sessions.invalidate(&*key).await;
        }
        connections
    }

    async fn read(&self, caller: &Caller, key: Key) -> Result<Option<Arc<Live>>, Problem> {
        let (tenant, id) = key;
        let row = self.store.mcp_session(tenant, &caller.user, id).await?;
        let Some(row) = row else {
            // Another user's session stays at hand for that user.
            let ended = |live: &Arc<Live>| live.user == *caller.user;
            if self.sessions.get(&key).await.as_ref().is_some_and(ended) {
                self.sessions.invalidate(&key).await;
            }
            return Ok(None);
        };
        let make = async { Arc::new(self.live(caller, row)) };
        let live = self.sessions.get_with(key, make).await;
        live.confirm();
        Ok(Some(live))
    }

    fn live(&self, caller: &Caller, session: McpSession) -> Live {
        let client = Client {
            tenant: caller.tenant_id(),
            user: session.user.clone(),
            session: session.id,
            revision: session.protocol_version,
            capabilities: carried(&session.client_capabilities),
            client_info: session.client_info,
        };
        let idle = caller.tenant.config.sessions.idle_timeout_seconds;
        Live {
            id: session.id,
            revision: client.revision.clone(),
            calls: InFlight::default(),
            upstreams: Arc::new(UpstreamSessions::new(client, self.store.clone())),
            client_capabilities: session.client_capabilities,
            user: session.user,
            scope: session.scope,
            expires_at: session.expires_at,
            idle_timeout: Duration::from_secs(idle),
            checked: Mutex::new(Instant::now()),
        }
    }
}

impl Live {
    fn is_fresh(&self) -> bool {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.elapsed() < FRESH
    }

    fn confirm(&self) {
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// What is not used for the organization's idle timeout is let go, child processes with it.
struct Idle;

impl Expiry<Key, Arc<Live>> for Idle {
    fn expire_after_create(&self, _: &Key, live: &Arc<Live>, _: Instant) -> Option<Duration> {
        Some(live.idle_timeout)
    }

    fn expire_after_read(
        &self,
        _: &Key,
        live: &Arc<Live>,
        _: Instant,
        _: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        Some(live.idle_timeout)
    }
}
