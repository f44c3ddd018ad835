//! Users' own MCP servers in service: each is compiled when its user comes, and
//! kept for that user alone.
//!
//! - [`Reachable`]: the servers that one caller reaches.
//! - `secrets`: the credentials of one server, opened when it is dialled.

mod reachable;
mod secrets;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use moka::future::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use self::secrets::RowSecrets;
use crate::auth::Caller;
use crate::encryption::{EncryptionKeys, Location, SealedColumn};
use crate::store::{SealedMcpConfig, Store, StoreError, TenantId};
use crate::telemetry::{Metrics, chain};
use crate::tenants::Tenant;
use crate::upstream::{CompileError, Dialer, Environment, NoTokens, Server};

pub use reachable::Reachable;

/// How long a user's servers are taken for current without asking the store: what
/// is changed through one replica is in force on all of them after this.
const FRESH: Duration = Duration::from_secs(5);
/// Users who are away for as long are forgotten, with their connections.
const IDLE: Duration = Duration::from_secs(600);
/// Most users at hand.
const MOST: u64 = 100_000;

type Key = (TenantId, Arc<str>);

/// Finds the servers that callers reach. Cloning is cheap.
#[derive(Clone)]
pub struct UserServers(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    keys: Option<EncryptionKeys>,
    dialer: Dialer,
    metrics: Metrics,
    users: Cache<Key, Arc<Slot>>,
}

/// The servers of one user.
#[derive(Default)]
struct Slot {
    known: ArcSwapOption<Known>,
    /// Held by whoever asks the store: the others wait for what comes of it.
    asking: Mutex<()>,
}

struct Known {
    own: Arc<Own>,
    /// Revision of the organization that they were compiled for.
    revision: String,
    /// When the store was asked; nothing once it is known that something changed.
    asked: Option<Instant>,
}

/// A user's own servers, compiled.
#[derive(Debug, Default)]
struct Own {
    servers: BTreeMap<String, Arc<Server>>,
    /// Differs where any of them does.
    digest: u64,
}

impl UserServers {
    /// None known yet. `keys` open their credentials.
    pub fn new(
        store: Arc<dyn Store>,
        keys: Option<EncryptionKeys>,
        dialer: Dialer,
        metrics: Metrics,
    ) -> Self {
        let users = Cache::builder()
            .max_capacity(MOST)
            .time_to_idle(IDLE)
            .build();
        Self(Arc::new(Shared {
            store,
            keys,
            dialer,
            metrics,
            users,
        }))
    }

    /// What seals credentials, where the platform has keys.
    pub fn keys(&self) -> Option<&EncryptionKeys> {
        self.0.keys.as_ref()
    }

    /// The servers that a caller reaches: the organization's, and the user's own
    /// where the organization allows any.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn of(&self, caller: &Caller) -> Result<Reachable, StoreError> {
        let tenant = &caller.tenant;
        if !tenant.config.user_servers {
            return Ok(Reachable::new(tenant.clone(), Arc::default()));
        }
        let key = (tenant.id, caller.user.clone());
        let slot = self.0.users.get_with(key, async { Arc::default() }).await;
        if let Some(own) = slot.current(tenant) {
            return Ok(Reachable::new(tenant.clone(), own));
        }
        let _turn = slot.asking.lock().await;
        let own = match slot.current(tenant) {
            Some(own) => own,
            None => self.ask(tenant, &caller.user, &slot).await?,
        };
        Ok(Reachable::new(tenant.clone(), own))
    }

    /// Asks the store again when the user comes next: something of theirs has changed.
    pub async fn forget(&self, caller: &Caller) {
        let key = (caller.tenant_id(), caller.user.clone());
        let Some(slot) = self.0.users.get(&key).await else {
            return;
        };
        // Whoever asks now may have asked before the change: it is forgotten after.
        let _turn = slot.asking.lock().await;
        if let Some(known) = slot.known.load_full() {
            slot.known.store(Some(Arc::new(Known {
                own: known.own.clone(),
                revision: known.revision.clone(),
                asked: None,
            })));
        }
    }

    /// A server ready to be spoken to, within what the organization declared.
    ///
    /// # Errors
    /// See [`CompileError`].
    pub fn compile(&self, tenant: &Tenant, row: &SealedMcpConfig) -> Result<Server, CompileError> {
        let config = &row.config;
        let wanted = config
            .settings
            .server(&config.name, config.id, config.version);
        let environment = self.environment(tenant, row);
        let server = Server::compile(&wanted, &environment)?;
        Ok(server.with_session_key(session_key(row)))
    }

    async fn ask(&self, tenant: &Tenant, user: &str, slot: &Slot) -> Result<Arc<Own>, StoreError> {
        let asked = Instant::now();
        let rows = self.0.store.mcp_configs(tenant.id, user).await?;
        let previous = slot.known.load_full();
        let own = Arc::new(self.compile_all(tenant, &rows, previous.as_deref()));
        slot.known.store(Some(Arc::new(Known {
            own: own.clone(),
            revision: tenant.config.revision.clone(),
            asked: Some(asked),
        })));
        Ok(own)
    }

    /// What did not change is kept, with its connections. A name that the organization
    /// has taken meanwhile means the organization's server.
    fn compile_all(
        &self,
        tenant: &Tenant,
        rows: &[SealedMcpConfig],
        previous: Option<&Known>,
    ) -> Own {
        let mut own = Own::default();
        let mut hasher = DefaultHasher::new();
        for row in rows {
            let config = &row.config;
            if tenant.servers.contains_key(&config.name) {
                continue;
            }
            let known = previous.and_then(|known| known.own.servers.get(&config.name));
            let wanted = config
                .settings
                .server(&config.name, config.id, config.version);
            let environment = self.environment(tenant, row);
            let server = match known.filter(|known| known.is_current(&wanted, &environment)) {
                Some(known) => known.clone(),
                None => match self.compile(tenant, row) {
                    Ok(server) => Arc::new(server),
                    Err(error) => {
                        let (id, error) = (config.id, chain(&error));
                        tracing::warn!(%id, error, "a user's MCP server cannot be served");
                        continue;
                    }
                },
            };
            (config.id, config.version).hash(&mut hasher);
            own.servers.insert(config.name.clone(), server);
        }
        own.digest = hasher.finish();
        own
    }

    fn environment(&self, tenant: &Tenant, row: &SealedMcpConfig) -> Environment {
        let location = Location {
            tenant: tenant.id,
            column: SealedColumn::McpCredentials,
            row: row.config.id,
        };
        Environment {
            dialer: self.0.dialer.clone(),
            egress: tenant.config.egress.as_slice().into(),
            secrets: Arc::new(RowSecrets {
                keys: self.0.keys.clone(),
                location,
                sealed: row.credentials.clone(),
            }),
            tokens: Arc::new(NoTokens),
            processes: false,
            bridges: None,
            metrics: self.0.metrics.clone(),
        }
    }
}

impl Slot {
    /// What is known, if it is still to be believed.
    fn current(&self, tenant: &Tenant) -> Option<Arc<Own>> {
        let known = self.known.load();
        let known = known.as_ref()?;
        let fresh = known.asked.is_some_and(|asked| asked.elapsed() < FRESH);
        (fresh && known.revision == tenant.config.revision).then(|| known.own.clone())
    }
}

/// What upstream sessions are remembered by: the same name may mean another
/// place later, which must not be told of a session with this one.
fn session_key(row: &SealedMcpConfig) -> String {
    let place = Sha256::digest(&row.config.settings.url);
    format!("{}/{}", row.config.id, hex::encode(&place[..8]))
}
