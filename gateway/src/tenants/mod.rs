//! Organizations as the gateway serves them: `TenantConfig` documents, compiled
//! off the request path and swapped atomically.

mod compile;
mod installer;
pub mod kubernetes;
mod removals;
mod reports;
#[cfg(test)]
pub(crate) mod test_config;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use agentapi_crds::tenant_config::TenantConfig;
use arc_swap::ArcSwap;

use crate::auth::Issuer;
use crate::domain::prompts::Prompts;
use crate::store::TenantId;
use crate::upstream::{EventSink, HttpClient, Server};

pub use compile::{CompileError, Environment, compile};
pub use installer::{InstallError, Installer};
pub use removals::Removals;
pub use reports::Reports;

/// One organization, ready to serve requests.
#[derive(Debug)]
pub struct Tenant {
    /// What the database knows it by.
    pub id: TenantId,
    /// The document it was compiled from.
    pub config: Arc<TenantConfig>,
    /// Issuers whose tokens may speak for it.
    pub issuers: Vec<Arc<Issuer>>,
    /// Prompt policies, compiled.
    pub prompts: Prompts,
    /// MCP servers by name.
    pub servers: BTreeMap<String, Arc<Server>>,
    /// Who is sent what happens in it.
    pub event_sinks: Vec<Arc<EventSink>>,
    /// HTTP to whatever a document names, within the organization's egress.
    pub http: HttpClient,
}

/// All organizations. Cloning is cheap; readers never wait.
#[derive(Clone, Debug, Default)]
pub struct Tenants {
    current: Arc<ArcSwap<Snapshot>>,
}

/// All organizations at one moment.
#[derive(Clone, Debug, Default)]
struct Snapshot {
    by_name: HashMap<String, Arc<Tenant>>,
    by_id: HashMap<TenantId, Arc<Tenant>>,
    by_issuer: HashMap<String, Vec<Arc<Tenant>>>,
    by_namespace: HashMap<String, Vec<Arc<Tenant>>>,
}

impl Tenants {
    /// The organization of that name.
    pub fn get(&self, organization: &str) -> Option<Arc<Tenant>> {
        self.current.load().by_name.get(organization).cloned()
    }

    /// The organization of that tenant id.
    pub fn by_id(&self, id: TenantId) -> Option<Arc<Tenant>> {
        self.current.load().by_id.get(&id).cloned()
    }

    /// The organizations that trust tokens of an issuer.
    pub fn trusting(&self, issuer: &str) -> Vec<Arc<Tenant>> {
        self.current
            .load()
            .by_issuer
            .get(issuer)
            .cloned()
            .unwrap_or_default()
    }

    /// The organization whose namespace that is; none where several claim it,
    /// since a guess would let one speak for another.
    pub fn in_namespace(&self, namespace: &str) -> Option<Arc<Tenant>> {
        let current = self.current.load();
        match current.by_namespace.get(namespace).map(Vec::as_slice) {
            Some([tenant]) => Some(tenant.clone()),
            _ => None,
        }
    }

    /// Whether any organization has the tenant id.
    pub fn serves(&self, tenant: TenantId) -> bool {
        let current = self.current.load();
        current.by_name.values().any(|found| found.id == tenant)
    }

    /// Whether any organization has an event sink.
    pub fn have_event_sinks(&self) -> bool {
        let current = self.current.load();
        let mut all = current.by_name.values();
        all.any(|tenant| !tenant.event_sinks.is_empty())
    }

    /// How many organizations there are.
    pub fn len(&self) -> usize {
        self.current.load().by_name.len()
    }

    /// Whether there is no organization.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of all organizations.
    pub fn names(&self) -> Vec<String> {
        self.current.load().by_name.keys().cloned().collect()
    }

    /// Another organization than `organization` that has the tenant id.
    fn holder_of(&self, tenant: uuid::Uuid, organization: &str) -> Option<String> {
        let current = self.current.load();
        let mut others = current
            .by_name
            .iter()
            .filter(|(name, _)| *name != organization);
        let holder = others.find(|(_, other)| other.id == TenantId(tenant))?;
        Some(holder.0.clone())
    }

    /// Puts an organization in place of what was there under its name.
    pub fn put(&self, tenant: Tenant) {
        self.put_shared(Arc::new(tenant));
    }

    fn put_shared(&self, tenant: Arc<Tenant>) {
        self.change(|by_name| {
            drop(by_name.insert(tenant.config.organization.clone(), tenant.clone()))
        });
    }

    /// Removes an organization.
    pub fn remove(&self, organization: &str) {
        self.change(|by_name| drop(by_name.remove(organization)));
    }

    fn change(&self, change: impl Fn(&mut HashMap<String, Arc<Tenant>>)) {
        self.current.rcu(|snapshot| {
            let mut by_name = snapshot.by_name.clone();
            change(&mut by_name);
            Snapshot {
                by_id: by_name
                    .values()
                    .map(|tenant| (tenant.id, tenant.clone()))
                    .collect(),
                by_issuer: by_issuer(&by_name),
                by_namespace: by_namespace(&by_name),
                by_name,
            }
        });
    }
}

fn by_issuer(by_name: &HashMap<String, Arc<Tenant>>) -> HashMap<String, Vec<Arc<Tenant>>> {
    let mut by_issuer: HashMap<String, Vec<Arc<Tenant>>> = HashMap::new();
    for tenant in by_name.values() {
        for issuer in &tenant.issuers {
            let trusting = by_issuer.entry(issuer.config.issuer.clone()).or_default();
            if !trusting.iter().any(|known| Arc::ptr_eq(known, tenant)) {
                trusting.push(tenant.clone());
            }
        }
    }
    by_issuer
}

fn by_namespace(by_name: &HashMap<String, Arc<Tenant>>) -> HashMap<String, Vec<Arc<Tenant>>> {
    let mut by_namespace: HashMap<String, Vec<Arc<Tenant>>> = HashMap::new();
    for tenant in by_name.values() {
        let namespace = tenant.config.namespace.clone();
        by_namespace
            .entry(namespace)
            .or_default()
            .push(tenant.clone());
    }
    by_namespace
}
