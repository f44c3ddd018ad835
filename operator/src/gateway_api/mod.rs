//! The gateway's internal API, as the operator uses it: what each replica
//! serves, what servers offer, and that nothing of a deleted organization is left.
//!
//! - `replicas`: which replicas there are.
//! - `client`: one call of one replica.
//! - `follow`: waits for the news of every replica.
//! - `seen`: what they said, and what follows from it (pure).
//! - `applied`: the condition `Applied` (pure).
//! - `retire`: asks all replicas to let an organization go.
//! - `tools`, `discover`: what servers offer, and who asks them when.

mod applied;
mod client;
mod discover;
mod follow;
mod jitter;
mod replicas;
mod retire;
mod seen;
mod tools;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentapi_crds::{McpServer, Organization};
use kube::Client;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

pub(crate) use applied::assertion;
pub(crate) use jitter::jittered;
pub use replicas::{Replica, Replicas};
pub(crate) use retire::{Retirement, Waiting};
pub(crate) use tools::{Outcome, Wanted};

use self::client::InternalClient;
pub(crate) use self::seen::Verdict;

use self::seen::Seen;
use self::tools::Tools;
use crate::watch::{Caches, Queue};

/// Organizations that are retired at one time: a gateway that hangs must not
/// hold up the reconciliation of others.
const RETIREMENTS: usize = 4;

/// How the gateway's replicas are reached.
#[derive(Clone, Debug)]
pub struct GatewayAccess {
    /// File with a token of the operator's service account for the internal API; read anew for every call.
    pub token_file: PathBuf,
    /// `HOST:PORT` of replicas outside of the cluster; without any, the endpoints of the Service are asked.
    pub addresses: Vec<String>,
}

/// What is known of the gateway. Cloning is cheap.
#[derive(Clone)]
pub struct Gateways(Option<Arc<Inner>>);

struct Inner {
    client: InternalClient,
    replicas: watch::Receiver<Replicas>,
    seen: Mutex<Seen>,
    tools: Tools,
    retirements: Semaphore,
    /// UIDs of organizations that every replica has let go, and whose deletion goes on.
    retired: Mutex<HashSet<String>>,
}

impl Gateways {
    /// Follows the gateway as tasks. Without access nothing is known of it, and nothing waits for it.
    pub(crate) fn start(
        access: Option<&GatewayAccess>,
        client: &Client,
        platform_namespace: &str,
        wake: Wake,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let Some(access) = access else {
            tracing::warn!(
                "AGENTAPI_GATEWAY_TOKEN_FILE is not set: the gateway is not asked what it serves, and deletion does not wait for it"
            );
            return Self(None);
        };
        let replicas = replicas::watch(client, platform_namespace, &access.addresses, tasks);
        let inner = Arc::new(Inner::new(access.token_file.clone(), replicas));
        tasks.spawn(follow::all(inner.clone(), wake.clone()));
        tasks.spawn(discover::run(inner.clone(), wake));
        Self(Some(inner))
    }

    /// Whether replicas serve a revision of an organization; nothing where they are not asked.
    pub(crate) fn applied(&self, organization: &str, revision: &str) -> Option<Verdict> {
        let inner = self.0.as_ref()?;
        Some(inner.seen().verdict(organization, revision))
    }

    /// What a server was found to offer; asks for it to be found out.
    pub(crate) fn tools(&self, wanted: Wanted) -> Option<Outcome> {
        self.0.as_ref()?.tools.found(wanted)
    }

    /// Asks every live replica to let a deleted organization go. Returns those that have not yet.
    pub(crate) async fn retire(&self, retirement: &Retirement) -> Vec<Waiting> {
        match &self.0 {
            Some(inner) => retire::retire(inner, retirement).await,
            None => Vec::new(),
        }
    }

    /// Forgets a deleted organization.
    pub(crate) fn forget(&self, uid: &str) {
        if let Some(inner) = &self.0 {
            inner.retired().remove(uid);
        }
    }
}

impl Inner {
    fn new(token_file: PathBuf, replicas: watch::Receiver<Replicas>) -> Self {
        Self {
            client: InternalClient::new(token_file),
            replicas,
            seen: Mutex::default(),
            tools: Tools::default(),
            retirements: Semaphore::new(RETIREMENTS),
            retired: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn retired(&self) -> MutexGuard<'_, HashSet<String>> {
        self.retired.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has resources looked at again when the gateway said something new about them.
#[derive(Clone)]
pub(crate) struct Wake {
    /// The present resources.
    pub(crate) caches: Caches,
    /// Who waits to be looked at.
    pub(crate) organizations: Queue<Organization>,
    /// Who waits to be looked at.
    pub(crate) servers: Queue<McpServer>,
}
