//! The servers that one caller reaches.

use std::sync::Arc;

use super::Own;
use crate::tenants::Tenant;
use crate::upstream::Server;

/// The organization's servers and the caller's own. Of two with the same name or
/// prefix the organization's comes first: nobody takes its place. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Reachable {
    tenant: Arc<Tenant>,
    own: Arc<Own>,
}

impl Reachable {
    pub(super) fn new(tenant: Arc<Tenant>, own: Arc<Own>) -> Self {
        Self { tenant, own }
    }

    /// The server of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<Server>> {
        let organizations = self.tenant.servers.get(name);
        organizations.or_else(|| self.own.servers.get(name))
    }

    /// All of them: the organization's by name, then the caller's own by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Server>> {
        let organizations = self.tenant.servers.values();
        organizations.chain(self.own.servers.values())
    }

    /// The server whose federated names begin with a prefix: of several the first,
    /// so that a name never leads to another server than its list entry.
    pub fn by_prefix(&self, prefix: &str) -> Option<&Arc<Server>> {
        self.iter().find(|server| server.prefix() == prefix)
    }

    /// What tells the caller's own servers from others; nothing where the caller
    /// has none, and reaches what everybody in the organization does.
    pub fn own_digest(&self) -> Option<u64> {
        (!self.own.servers.is_empty()).then_some(self.own.digest)
    }
}
