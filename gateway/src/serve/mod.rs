//! Assembles the gateway and runs it, for `agentapi-gateway serve` and for programs that embed it.
//!
//! - `assembly`: configuration → services.
//! - `admin`: what the platform asks: `/live`, `/ready`, `/metrics`.
//! - `health`: what the gateway depends on, and since when it is as it is.
//! - `listen`: one listener until shutdown.
//! - `record`: how the audit record is kept.
//! - `sweeper`: removes what has ended.
//! - [`on_kubernetes`]: the program `agentapi-gateway serve`.

mod admin;
mod assembly;
mod health;
mod listen;
mod on_kubernetes;
mod record;
mod sweeper;

use std::net::SocketAddr;

use tokio_util::sync::CancellationToken;

pub use assembly::{Embedding, Gateway};
pub use on_kubernetes::on_kubernetes;

use crate::audit::AuditError;
use crate::cache::CacheError;
use crate::config::ConfigError;
use crate::domain::audit::KeyError;
use crate::http::MisdescribedRoute;
use crate::rekeying::KeysError;
use crate::store::StoreError;
use crate::upstream::BridgeTokenError;

/// Where the gateway listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The public surface.
    pub public: SocketAddr,
    /// `/live`, `/ready` and `/metrics`.
    pub admin: SocketAddr,
}

/// Why the gateway cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A setting that serving needs is absent.
    #[error("{field} is not set: set the environment variable {variable} {example}")]
    NotSet {
        /// Key in `config/gateway.toml`.
        field: &'static str,
        /// The variable that sets it.
        variable: &'static str,
        /// What it looks like.
        example: &'static str,
    },
    /// SQLite serves one process only.
    #[error(
        "SQLite serves a single embedded process: set AGENTAPI_DATABASE_URL to postgres://… to serve from Kubernetes"
    )]
    SingleReplicaStore,
    /// The key that signs tokens for bridges cannot be used.
    #[error("bridge_signing_key cannot be used: set AGENTAPI_BRIDGE_SIGNING_KEY")]
    BridgeKey(#[from] BridgeTokenError),
    /// The key that signs the audit record cannot be used.
    #[error("audit_signing_key cannot be used: set AGENTAPI_AUDIT_SIGNING_KEY")]
    AuditKey(#[from] KeyError),
    /// The keys do not open what is stored.
    #[error("the stored credentials cannot be used")]
    Keys(#[from] KeysError),
    /// The store cannot be opened.
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    /// The cache cannot be used.
    #[error("the cache cannot be used")]
    Cache(#[from] CacheError),
    /// The record cannot be opened.
    #[error("the audit record cannot be opened")]
    Audit(#[from] AuditError),
    /// There is no cluster to read documents from.
    #[error(
        "no Kubernetes cluster can be reached: run in a pod with a service account, or set KUBECONFIG"
    )]
    Kubernetes(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The table of routes contradicts itself: a defect of this program.
    #[error(transparent)]
    Routes(#[from] MisdescribedRoute),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: choose another by {variable}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The variable that sets it.
        variable: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A listener stopped by itself.
    #[error("a listener failed")]
    Failed(#[source] std::io::Error),
}

/// A token that is cancelled by SIGTERM or SIGINT.
///
/// # Errors
/// When the process cannot wait for signals.
pub fn stop_on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopped.cancel();
    });
    Ok(stop)
}

#[cfg(test)]
mod overload_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
