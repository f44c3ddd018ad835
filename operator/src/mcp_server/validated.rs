//! What judging a server needs, and what it yields.

use std::collections::BTreeMap;

use agentapi_crds::McpServer;
use agentapi_crds::mcp_server::Resources;
use agentapi_crds::tenant_config::{self as document, ProcessValue};

use crate::inputs::Secrets;
use crate::organization::ValidatedOrganization;
use crate::settings::Settings;

/// What a server is judged by, besides its own spec.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The organization that the server belongs to.
    pub organization: &'a ValidatedOrganization,
    /// All servers of the same namespace; may include the one judged.
    pub siblings: &'a [&'a McpServer],
    /// Secrets of the namespace.
    pub secrets: &'a Secrets,
    /// What the platform decides.
    pub settings: &'a Settings,
}

/// A server that can be served, and the workload it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedServer {
    /// Name of the `McpServer`.
    pub name: String,
    /// UID of the `McpServer`; absent outside of a cluster.
    pub uid: Option<String>,
    /// The server's entry in its organization's document.
    pub config: document::ServerConfig,
    /// What runs in the cluster; none for remote servers and in the embedded mode.
    pub workload: Option<Workload>,
}

/// What runs in the cluster for a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Image of the server.
    pub image: String,
    /// Port that the pod listens on.
    pub port: u16,
    /// Arguments of the server.
    pub args: Vec<String>,
    /// What is started.
    pub program: WorkloadProgram,
    /// How many pods.
    pub replicas: u32,
    /// Requests and limits of the server's container.
    pub resources: Resources,
}

/// What the pod of a server starts.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkloadProgram {
    /// The image's own program, which speaks HTTP.
    Http {
        /// Its environment.
        env: BTreeMap<String, String>,
    },
    /// The bridge, which starts the command once for each MCP session.
    Bridge {
        /// Image that the bridge is copied from.
        gateway_image: String,
        /// Keys with which the bridge checks the gateway's tokens.
        jwks: String,
        /// Audience that those tokens must have: this server, whichever keys several bridges share.
        audience: String,
        /// The command.
        command: Vec<String>,
        /// Its environment.
        env: BTreeMap<String, ProcessValue>,
    },
}
