//! The upstream sessions behind one MCP session of a client.
//!
//! Each is opened when it is first needed, once however many calls wait for
//! it, and remembered in the store, so that another replica goes on with it. One
//! that is lost is never replaced silently: the call that finds it lost fails
//! with [`UpstreamError::SessionLost`], and the next one opens a new session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, join_all};
use serde_json::{Value, json};
use uuid::Uuid;

use super::connection::Connection;
use super::error::UpstreamError;
use super::reply::Call;
use super::server::Server;
use super::tokens::Principal;
use crate::store::{Store, TenantId, UpstreamState};

/// Id of the gateway's own `initialize`; no other request is in flight then.
const INITIALIZE_ID: &str = "\"agentapi-initialize\"";

/// Whose upstream sessions they are, and what upstreams are told of the client.
#[derive(Clone, Debug)]
pub struct Client {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: String,
    /// The client's own MCP session.
    pub session: Uuid,
    /// Revision negotiated with the client.
    pub revision: String,
    /// Capabilities that upstreams may use of the client.
    pub capabilities: Value,
    /// `clientInfo` as the client sent it.
    pub client_info: Value,
}

type Opening = Shared<BoxFuture<'static, Result<Arc<Connection>, UpstreamError>>>;

/// The upstream sessions of one client's session.
pub struct UpstreamSessions {
    client: Client,
    principal: Arc<Principal>,
    store: Arc<dyn Store>,
    slots: Mutex<HashMap<String, Slot>>,
}

enum Slot {
    Opening(Arc<Server>, Opening),
    Open(Arc<Connection>),
    /// Lost: what the store remembers is not to be taken up again.
    Lost,
}

/// A session, or the wait for it.
enum Ready {
    Now(Arc<Connection>),
    Soon(Opening),
}

impl std::fmt::Debug for UpstreamSessions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sessions = formatter.debug_struct("UpstreamSessions");
        sessions.field("client", &self.client);
        sessions.finish_non_exhaustive()
    }
}

impl UpstreamSessions {
    /// No session yet.
    pub fn new(client: Client, store: Arc<dyn Store>) -> Self {
        let principal = Principal {
            tenant: client.tenant,
            user: Some(client.user.as_str().into()),
        };
        Self {
            principal: Arc::new(principal),
            client,
            store,
            slots: Mutex::default(),
        }
    }

    /// The session with a server, opened or taken up if need be.
    ///
    /// # Errors
    /// See [`UpstreamError`]; [`UpstreamError::SessionLost`] once for each session that was lost.
    pub async fn with(
        self: &Arc<Self>,
        server: &Arc<Server>,
    ) -> Result<Arc<Connection>, UpstreamError> {
        match self.slot(server)? {
            Ready::Now(connection) => Ok(connection),
            Ready::Soon(opening) => opening.await,
        }
    }

    fn slot(self: &Arc<Self>, server: &Arc<Server>) -> Result<Ready, UpstreamError> {
        let name = server.name().to_owned();
        let mut slots = self.slots();
        let resume = match slots.get(&name) {
            None => true,
            Some(Slot::Lost) => false,
            Some(Slot::Opening(of, opening)) if Arc::ptr_eq(of, server) => {
                return Ok(Ready::Soon(opening.clone()));
            }
            Some(Slot::Opening(..)) => false,
            Some(Slot::Open(connection)) => {
                let Some(connection) = current(connection, server) else {
                    slots.insert(name, Slot::Lost);
                    return Err(UpstreamError::SessionLost);
                };
                slots.insert(name, Slot::Open(connection.clone()));
                return Ok(Ready::Now(connection));
            }
        };
        let opening = self.open(server.clone(), resume);
        slots.insert(name, Slot::Opening(server.clone(), opening.clone()));
        Ok(Ready::Soon(opening))
    }

    /// The session that was opened before, by this replica or another; never a new one.
    ///
    /// # Errors
    /// [`UpstreamError::SessionLost`] if there is none.
    pub async fn existing(
        self: &Arc<Self>,
        server: &Arc<Server>,
    ) -> Result<Arc<Connection>, UpstreamError> {
        let known = match self.slots().get(server.name()) {
            Some(Slot::Open(connection)) => Some(current(connection, server)),
            Some(Slot::Lost) => Some(None),
            _ => None,
        };
        let connection = match known {
            Some(connection) => connection,
            None => {
                let state = self.remembered(server).await?;
                let resume =
                    |state| Connection::resume(server.clone(), self.principal.clone(), &state);
                let resumed = state.and_then(resume);
                resumed.map(Arc::new)
            }
        };
        let connection = connection.ok_or(UpstreamError::SessionLost)?;
        self.keep(&connection);
        Ok(connection)
    }

    /// The sessions that were opened before, with any of the servers.
    pub async fn all_existing(
        self: &Arc<Self>,
        servers: impl IntoIterator<Item = &Arc<Server>>,
    ) -> Vec<Arc<Connection>> {
        let sessions = servers.into_iter().map(|server| self.existing(server));
        let sessions = join_all(sessions).await;
        sessions.into_iter().filter_map(Result::ok).collect()
    }

    /// Takes over a session that was opened by the client's own `initialize`.
    ///
    /// # Errors
    /// [`UpstreamError::Store`].
    pub async fn adopt(&self, connection: Connection) -> Result<(), UpstreamError> {
        let connection = Arc::new(connection);
        self.remember(&connection).await?;
        self.keep(&connection);
        Ok(())
    }

    /// Notes that a session was found lost, unless it has been replaced already.
    pub fn lost(&self, connection: &Arc<Connection>) {
        let mut slots = self.slots();
        let name = connection.server().name();
        if matches!(slots.get(name), Some(Slot::Open(open)) if Arc::ptr_eq(open, connection)) {
            slots.insert(name.to_owned(), Slot::Lost);
        }
    }

    /// The sessions that this replica has open.
    pub fn open_now(&self) -> Vec<Arc<Connection>> {
        let slots = self.slots();
        let open = slots.values().filter_map(|slot| match slot {
            Slot::Open(connection) => Some(connection.clone()),
            Slot::Opening(..) | Slot::Lost => None,
        });
        open.collect()
    }

    /// Forgets the sessions of servers that the organization has no longer.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.slots().retain(|name, _| keep(name));
    }

    /// Opens in a task of its own: whoever asked first may go away, others may be waiting.
    fn open(self: &Arc<Self>, server: Arc<Server>, resume: bool) -> Opening {
        let sessions = self.clone();
        let task = tokio::spawn(async move {
            let opened = sessions.open_now_or_resume(&server, resume).await;
            let mut slots = sessions.slots();
            match &opened {
                Ok(connection) => {
                    slots.insert(server.name().to_owned(), Slot::Open(connection.clone()));
                }
                Err(UpstreamError::SessionLost) => {
                    slots.insert(server.name().to_owned(), Slot::Lost);
                }
                Err(_) if resume => drop(slots.remove(server.name())),
                Err(_) => drop(slots.insert(server.name().to_owned(), Slot::Lost)),
            }
            opened
        });
        task.map(|joined| joined.unwrap_or(Err(UpstreamError::Interrupted)))
            .boxed()
            .shared()
    }

    async fn open_now_or_resume(
        &self,
        server: &Arc<Server>,
        resume: bool,
    ) -> Result<Arc<Connection>, UpstreamError> {
        if resume && let Some(state) = self.remembered(server).await? {
            let resumed = Connection::resume(server.clone(), self.principal.clone(), &state);
            return resumed.map(Arc::new).ok_or(UpstreamError::SessionLost);
        }
        let (connection, _) = server.connect(&self.principal, self.initialize()).await?;
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        connection.send(initialized.to_string()).await?;
        let connection = Arc::new(connection);
        self.remember(&connection).await?;
        Ok(connection)
    }

    fn initialize(&self) -> Call {
        let params = json!({
            "protocolVersion": self.client.revision,
            "capabilities": self.client.capabilities,
            "clientInfo": self.client.client_info,
        });
        Call {
            text: format!(
                r#"{{"jsonrpc":"2.0","id":{INITIALIZE_ID},"method":"initialize","params":{params}}}"#
            ),
            id: INITIALIZE_ID.to_owned(),
            progress_token: None,
        }
    }

    async fn remembered(&self, server: &Server) -> Result<Option<UpstreamState>, UpstreamError> {
        let Client {
            tenant,
            user,
            session,
            ..
        } = &self.client;
        let row = self.store.mcp_session(*tenant, user, *session).await?;
        Ok(row.and_then(|mut row| row.upstreams.remove(server.session_key())))
    }

    async fn remember(&self, connection: &Connection) -> Result<(), UpstreamError> {
        let key = connection.server().session_key();
        let Client {
            tenant, session, ..
        } = &self.client;
        self.store
            .put_upstream(*tenant, *session, key, &connection.state())
            .await?;
        Ok(())
    }

    fn keep(&self, connection: &Arc<Connection>) {
        let name = connection.server().name().to_owned();
        self.slots().insert(name, Slot::Open(connection.clone()));
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection as it may be used with the server's present configuration.
fn current(connection: &Arc<Connection>, server: &Arc<Server>) -> Option<Arc<Connection>> {
    if connection.is_lost() {
        None
    } else if Arc::ptr_eq(connection.server(), server) {
        Some(connection.clone())
    } else {
        connection.moved_to(server).map(Arc::new)
    }
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
