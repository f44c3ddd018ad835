//! What the platform engineer decides for all organizations.

use std::net::IpAddr;

use agentapi_crds::names;

use crate::gateway_api::GatewayAccess;

/// Where MCP servers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// In the cluster, as workloads of the organization's namespace.
    Cluster,
    /// As children of the gateway; containers are refused.
    Embedded,
}

/// What the plan of every organization needs to know about the platform.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where MCP servers run.
    pub placement: Placement,
    /// Namespace of the operator and the gateway; its prompt policies are global.
    pub platform_namespace: String,
    /// Service account of the gateway in the platform's namespace.
    pub gateway_service_account: String,
    /// Port on which the gateway's pods serve agents.
    pub gateway_port: u16,
    /// Image that the bridge of `stdio` servers is copied from.
    pub gateway_image: Option<String>,
    /// The gateway's public keys (RFC 7517), with which bridges check its tokens.
    pub bridge_jwks: Option<String>,
    /// How the gateway is asked what it serves; without it nothing waits for the gateway.
    pub gateway_access: Option<GatewayAccess>,
    /// Address of NodeLocal DNS, where the cluster has it.
    pub node_local_dns: Option<IpAddr>,
}

impl Settings {
    /// The defaults for a placement.
    pub fn new(placement: Placement) -> Self {
        Self {
            placement,
            platform_namespace: names::DEFAULT_PLATFORM_NAMESPACE.to_owned(),
            gateway_service_account: "agentapi-gateway".to_owned(),
            gateway_port: 8080,
            gateway_image: None,
            bridge_jwks: None,
            gateway_access: None,
            node_local_dns: None,
        }
    }
}
