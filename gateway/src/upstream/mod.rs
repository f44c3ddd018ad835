//! Everything the gateway dials: MCP servers, and every URL a tenant or a document names.

use agentapi_crds::tenant_config::ServerConfig;

/// One MCP server of one organization, ready to be spoken to.
#[derive(Debug)]
pub struct Server {
    /// The configuration it was compiled from.
    pub config: ServerConfig,
}
