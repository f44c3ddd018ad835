//! Everything the gateway dials: MCP servers, and every URL a tenant or a document names.

mod address;
mod dialer;
mod egress;
mod http_client;
mod secrets;

use agentapi_crds::tenant_config::ServerConfig;

pub use address::Special;
pub use dialer::{DialError, Dialer, Resolve};
pub use egress::{EgressPolicy, Refusal};
pub use http_client::{HttpClient, HttpError, TrustError};
pub use secrets::{SecretError, Secrets};

/// One MCP server of one organization, ready to be spoken to.
#[derive(Debug)]
pub struct Server {
    /// The configuration it was compiled from.
    pub config: ServerConfig,
}
