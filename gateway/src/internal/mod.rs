//! The internal API: what the operator asks of every replica, on the operations
//! port and by a token of its own service account.
//!
//! - `access`: the operator, and nobody else.
//! - `reports`: what is served and what was refused.
//! - `retirement`: nothing of a deleted organization is left.
//! - `tools`: what a server offers.
//! - `closing`: ends the sessions of what was taken out of service.
//!
//! Paths and shapes are the contract [`agentapi_crds::internal_api`].

mod access;
mod closing;
mod refusal;
mod reports;
mod retirement;
mod tools;

use std::sync::Arc;

use agentapi_crds::internal_api;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, put};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::store::Store;
use crate::telemetry::Metrics;
use crate::tenants::{Removals, Reports, Tenants};

pub use access::OperatorAccess;
pub(crate) use closing::close;

/// Servers that are asked for their tools at one time.
const DISCOVERIES: usize = 16;

/// What the internal API answers from. Cloning is cheap.
#[derive(Clone)]
pub struct Internal {
    access: OperatorAccess,
    tenants: Tenants,
    reports: Reports,
    removals: Removals,
    store: Arc<dyn Store>,
    metrics: Metrics,
    synced: watch::Receiver<bool>,
    stopping: CancellationToken,
    discoveries: Arc<Semaphore>,
}

/// The parts of [`Internal`].
pub struct Parts {
    /// Lets the operator in.
    pub access: OperatorAccess,
    /// Organizations in service.
    pub tenants: Tenants,
    /// What was installed and refused.
    pub reports: Reports,
    /// What was taken out of service.
    pub removals: Removals,
    /// What outlives the process.
    pub store: Arc<dyn Store>,
    /// Counters.
    pub metrics: Metrics,
    /// Whether all documents were read.
    pub synced: watch::Receiver<bool>,
    /// Cancelled when the process is to end: nobody waits for news any more.
    pub stopping: CancellationToken,
}

impl Internal {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self {
            access: parts.access,
            tenants: parts.tenants,
            reports: parts.reports,
            removals: parts.removals,
            store: parts.store,
            metrics: parts.metrics,
            synced: parts.synced,
            stopping: parts.stopping,
            discoveries: Arc::new(Semaphore::new(DISCOVERIES)),
        }
    }
}

/// The routes, all of them for the operator only.
pub fn router(internal: Internal) -> Router {
    Router::new()
        .route(internal_api::REPORTS, get(reports::news))
        .route(
            &internal_api::retirement("{organization}"),
            put(retirement::retire),
        )
        .route(
            &internal_api::tools("{organization}", "{server}"),
            get(tools::discover),
        )
        .layer(from_fn_with_state(internal.clone(), access::operator_only))
        .with_state(internal)
}
