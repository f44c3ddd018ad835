//! What every handler may use.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::Streams;
use crate::audit::{Anchors, Recorder};
use crate::auth::Authenticator;
use crate::domain::audit::Signer;
use crate::limits::{Admission, Limiter};
use crate::mcp::{Mcp, Origins};
use crate::oauth::OAuth;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::tenants::Tenants;
use crate::user_servers::UserServers;

/// The services behind the HTTP surface.
pub struct Services {
    /// Organizations.
    pub tenants: Tenants,
    /// Tokens to callers.
    pub authenticator: Authenticator,
    /// How often callers may call.
    pub limiter: Limiter,
    /// How much may be under way at one time.
    pub admission: Admission,
    /// What outlives the process.
    pub store: Arc<dyn Store>,
    /// The record.
    pub recorder: Recorder,
    /// Signs the record's checkpoints and exports, where a key is configured.
    pub signer: Option<Arc<Signer>>,
    /// Where the record's last checkpoints are kept besides the store.
    pub anchors: Arc<dyn Anchors>,
    /// Users' own MCP servers.
    pub user_servers: UserServers,
    /// Connections with upstream servers.
    pub oauth: OAuth,
    /// Sessions of MCP clients.
    pub mcp: Mcp,
    /// Event streams that are open.
    pub streams: Streams,
    /// Counters.
    pub metrics: Metrics,
    /// How clients reach the gateway, without a trailing slash.
    pub public_url: String,
    /// Web pages that may speak to the MCP endpoints.
    pub origins: Origins,
    /// Largest body accepted, in bytes.
    pub body_limit: usize,
    /// How long a request that does not stream may take.
    pub request_timeout: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// [`Services`], shared. Cloning is cheap.
#[derive(Clone)]
pub struct AppState(Arc<Services>);

impl AppState {
    /// Shares the services.
    pub fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }
}

impl Deref for AppState {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}
