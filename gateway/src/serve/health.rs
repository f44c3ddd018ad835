//! `/health`: what the gateway depends on, each with how long it took to ask and
//! since when it is as it is.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::auth::KeysState;
use crate::cache::Cache;
use crate::encryption::EncryptionKeys;
use crate::limits::Shared;
use crate::rekeying::{self, KeysError};
use crate::store::Store;
use crate::tenants::Tenants;

/// How often it is looked at although nobody asks, so that changes have their time.
const EVERY: Duration = Duration::from_secs(10);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// As it should be.
    Ok,
    /// Requests go on, with less than they should have.
    Degraded,
    /// Requests cannot go on.
    Down,
}

/// The answer of `/health`.
#[derive(Serialize)]
struct Report {
    /// The worst of all.
    status: Status,
    checks: Vec<Check>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    name: &'static str,
    status: Status,
    /// How long it took to find out.
    latency_milliseconds: f64,
    /// Since when it is so, as far as this process knows.
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// What a check found.
struct Finding {
    status: Status,
    message: Option<String>,
}

impl Finding {
    fn of(good: bool, otherwise: Status, message: impl Into<String>) -> Self {
        if good {
            return Self {
                status: Status::Ok,
                message: None,
            };
        }
        Self {
            status: otherwise,
            message: Some(message.into()),
        }
    }
}

/// What is looked at.
pub(super) struct Sources {
    pub(super) store: Arc<dyn Store>,
    pub(super) cache: Arc<dyn Cache>,
    pub(super) shared: Shared,
    pub(super) encryption_keys: Option<EncryptionKeys>,
    pub(super) tenants: Tenants,
    pub(super) synced: watch::Receiver<bool>,
}

/// Looks, and remembers since when things are as they are. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Health {
    sources: Arc<Sources>,
    seen: Arc<Mutex<HashMap<&'static str, (Status, Timestamp)>>>,
}

impl Health {
    pub(super) fn new(sources: Sources) -> Self {
        Self {
            sources: Arc::new(sources),
            seen: Arc::default(),
        }
    }

    /// Looks again and again until `stop`.
    pub(super) async fn watch(self, stop: CancellationToken) {
        let looking = async {
            loop {
                self.report().await;
                tokio::time::sleep(EVERY).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = looking => {}
        }
    }

    async fn report(&self) -> Report {
        let (database, cache, configuration, keys, credentials, servers) = tokio::join!(
            self.check("database", self.database()),
            self.check("cache", self.cache()),
            self.check("tenantConfiguration", self.configuration()),
            self.check("keyRing", self.keys()),
            self.check("encryptionKeys", self.credentials()),
            self.check("upstreams", self.upstreams()),
        );
        let checks = vec![database, cache, configuration, keys, credentials, servers];
        let worst = checks.iter().map(|check| check.status).max();
        Report {
            status: worst.unwrap_or(Status::Ok),
            checks,
        }
    }

    async fn check(&self, name: &'static str, look: impl Future<Output = Finding>) -> Check {
        let started = Instant::now();
        let found = look.await;
        let latency = started.elapsed();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let last = seen.get(name).filter(|(status, _)| *status == found.status);
        let since = last.map_or_else(Timestamp::now, |(_, since)| *since);
        seen.insert(name, (found.status, since));
        Check {
            name,
            status: found.status,
            latency_milliseconds: latency.as_secs_f64() * 1e3,
            since,
            message: found.message,
        }
    }

    async fn database(&self) -> Finding {
        let answer = tokio::time::timeout(PATIENCE, self.sources.store.ping()).await;
        let message = "it does not answer: calls that must be on the record are refused";
        Finding::of(matches!(answer, Ok(Ok(()))), Status::Down, message)
    }

    async fn cache(&self) -> Finding {
        let answer = tokio::time::timeout(PATIENCE, self.sources.cache.ping()).await;
        let shared = &self.sources.shared;
        let answers = matches!(answer, Ok(Ok(()))) && !shared.is_degraded();
        let message = match shared.replicas() {
            1 => "it does not answer: this replica limits by itself".to_owned(),
            replicas => format!(
                "it does not answer: this replica grants one part in {replicas} of every limit"
            ),
        };
        Finding::of(answers, Status::Degraded, message)
    }

    async fn configuration(&self) -> Finding {
        let message = "not all organizations have been read yet";
        Finding::of(*self.sources.synced.borrow(), Status::Down, message)
    }

    /// Names nobody: an organization's issuer that is away is its own affair.
    async fn keys(&self) -> Finding {
        let tenants = &self.sources.tenants;
        let (mut all, mut away) = (0, 0);
        for tenant in tenants.names().iter().filter_map(|name| tenants.get(name)) {
            all += tenant.issuers.len();
            let missing = |issuer: &&Arc<crate::auth::Issuer>| issuer.keys() == KeysState::Missing;
            away += tenant.issuers.iter().filter(missing).count();
        }
        let message = format!("the keys of {away} of {all} issuers cannot be had");
        Finding::of(away == 0, Status::Degraded, message)
    }

    /// Whether what is sealed in the database can be opened.
    async fn credentials(&self) -> Finding {
        let keys = self.sources.encryption_keys.as_ref();
        let checked = rekeying::check(&*self.sources.store, keys);
        let message = match tokio::time::timeout(PATIENCE, checked).await {
            Ok(Ok(())) => None,
            Ok(Err(KeysError::Store(_))) | Err(_) => {
                Some("the database does not say which keys are needed".to_owned())
            }
            Ok(Err(error)) => Some(error.to_string()),
        };
        Finding::of(
            message.is_none(),
            Status::Degraded,
            message.unwrap_or_default(),
        )
    }

    /// Names nobody, for the same reason as [`keys`](Self::keys).
    async fn upstreams(&self) -> Finding {
        let tenants = &self.sources.tenants;
        let (mut all, mut alone) = (0, 0);
        let mut operations = BTreeMap::<&str, usize>::new();
        for tenant in tenants.names().iter().filter_map(|name| tenants.get(name)) {
            for server in tenant.servers.values() {
                let mut open = server.left_alone().peekable();
                all += 1;
                alone += usize::from(open.peek().is_some());
                open.for_each(|operation| *operations.entry(operation.name()).or_default() += 1);
            }
        }
        let operations: Vec<String> = operations
            .iter()
            .map(|(operation, servers)| format!("{operation} at {servers}"))
            .collect();
        let message = format!(
            "{alone} of {all} MCP servers are left alone after failures: {}",
            operations.join(", ")
        );
        Finding::of(alone == 0, Status::Degraded, message)
    }
}

/// `/health`.
pub(super) fn router(health: Health) -> Router {
    Router::new()
        .route("/health", get(report))
        .with_state(health)
}

async fn report(State(health): State<Health>) -> (StatusCode, Json<Report>) {
    let report = health.report().await;
    let status = match report.status {
        Status::Ok | Status::Degraded => StatusCode::OK,
        Status::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(report))
}
