//! Organizations as the gateway serves them: `TenantConfig` documents, compiled
//! off the request path and swapped atomically.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use agentapi_crds::tenant_config::TenantConfig;
use arc_swap::ArcSwap;

use crate::store::TenantId;
use crate::upstream::Server;

/// One organization, ready to serve requests.
#[derive(Debug)]
pub struct Tenant {
    /// What the database knows it by.
    pub id: TenantId,
    /// The document it was compiled from.
    pub config: Arc<TenantConfig>,
    /// MCP servers by name.
    pub servers: BTreeMap<String, Arc<Server>>,
}

/// All organizations by name. Cloning is cheap; readers never wait.
#[derive(Clone, Debug, Default)]
pub struct Tenants {
    by_name: Arc<ArcSwap<HashMap<String, Arc<Tenant>>>>,
}

impl Tenants {
    /// The organization of that name.
    pub fn get(&self, organization: &str) -> Option<Arc<Tenant>> {
        self.by_name.load().get(organization).cloned()
    }
}
