//! Who must be looked at again when something changed.

use agentapi_crds::{McpServer, Organization, PromptPolicy, names};
use kube::{Resource, ResourceExt};
use kube_runtime::reflector::ObjectRef;
use tokio::sync::mpsc::UnboundedReceiver;

use super::cache::Cache;
use super::follow::Touched;
use super::queue::Queue;
use super::{Caches, Requests};
use crate::mcp_server::secret_names;
use crate::metrics::Metrics;
use crate::object::Kind;
use crate::organization::{credential_names, namespace_of};

/// References to what must be looked at, by kind.
pub(crate) struct Queues {
    /// Organizations.
    pub organizations: Requests<Organization>,
    /// MCP servers.
    pub servers: Requests<McpServer>,
    /// Prompt policies.
    pub prompts: Requests<PromptPolicy>,
}

/// Knows who depends on what.
#[derive(Clone)]
pub(super) struct Triggers {
    caches: Caches,
    platform_namespace: String,
    organizations: Queue<Organization>,
    servers: Queue<McpServer>,
    prompts: Queue<PromptPolicy>,
}

pub(super) fn channel(
    caches: Caches,
    platform_namespace: String,
    metrics: &Metrics,
) -> (Triggers, Queues) {
    let (organizations, organization_requests) = requests("Organization", metrics);
    let (servers, server_requests) = requests("McpServer", metrics);
    let (prompts, prompt_requests) = requests("PromptPolicy", metrics);
    let triggers = Triggers {
        caches,
        platform_namespace,
        organizations,
        servers,
        prompts,
    };
    let queues = Queues {
        organizations: organization_requests,
        servers: server_requests,
        prompts: prompt_requests,
    };
    (triggers, queues)
}

fn requests<K: Resource<DynamicType = ()>>(
    kind: &'static str,
    metrics: &Metrics,
) -> (Queue<K>, Requests<K>) {
    let (queue, receiver): (Queue<K>, UnboundedReceiver<_>) = Queue::new(kind, metrics.clone());
    let requests = Requests {
        queue: queue.clone(),
        receiver,
    };
    (queue, requests)
}

impl Triggers {
    /// An organization changed: itself, those that claim the same as it does
    /// or did, and everything in its namespace.
    pub(super) fn organization(&self, touched: &Touched) {
        let changed = self.caches.organizations.get(None, &touched.name);
        let rivals = self.caches.claims.note(&touched.name, changed.as_deref());
        self.organizations.add(ObjectRef::new(&touched.name));
        for rival in rivals {
            self.organizations.add(ObjectRef::new(&rival));
        }
        if let Some(changed) = changed {
            let namespace = namespace_of(&changed);
            add_all(&self.servers, &self.caches.servers, &namespace);
            add_all(&self.prompts, &self.caches.prompts, &namespace);
        }
    }

    /// A server changed: itself, its siblings (one may wait for its prefix) and its organization.
    pub(super) fn server(&self, touched: &Touched) {
        let namespace = touched.namespace.as_deref().unwrap_or_default();
        add_all(&self.servers, &self.caches.servers, namespace);
        self.organization_of(namespace);
    }

    /// A policy changed: itself, and the organizations it applies to.
    pub(super) fn prompt(&self, touched: &Touched) {
        let namespace = touched.namespace.as_deref().unwrap_or_default();
        self.prompts
            .add(ObjectRef::new(&touched.name).within(namespace));
        if namespace == self.platform_namespace {
            for organization in self.caches.organizations.all() {
                self.organizations
                    .add(ObjectRef::from_obj(organization.as_ref()));
            }
        } else {
            self.organization_of(namespace);
        }
    }

    /// A Secret changed: the servers that name it and their organization, or the
    /// organizations that name it where it is a credential of the platform's.
    pub(super) fn secret(&self, touched: &Touched) {
        let namespace = touched.namespace.as_deref().unwrap_or_default();
        if namespace == names::CREDENTIALS_NAMESPACE {
            self.organizations_with_credential(&touched.name);
            return;
        }
        for server in self.caches.servers.in_namespace(namespace) {
            if secret_names(&server.spec).contains(touched.name.as_str()) {
                self.servers.add(ObjectRef::from_obj(server.as_ref()));
            }
        }
        self.organization_of(namespace);
    }

    /// An object of ours changed: whoever it was made for. A server's Service
    /// concerns its organization too, which serves no server without it; a
    /// namespace concerns the servers that wait for it.
    pub(super) fn owned(&self, kind: Kind, touched: &Touched) {
        let is_for_organization = touched.server.is_none() || kind == Kind::Service;
        if let Some(organization) = touched
            .organization
            .as_ref()
            .filter(|_| is_for_organization)
        {
            self.organizations.add(ObjectRef::new(organization));
        }
        if let Some(server) = &touched.server {
            let namespace = touched.namespace.as_deref().unwrap_or_default();
            self.servers.add(ObjectRef::new(server).within(namespace));
        }
        if kind == Kind::Namespace {
            add_all(&self.servers, &self.caches.servers, &touched.name);
        }
    }

    fn organizations_with_credential(&self, secret: &str) {
        for organization in self.caches.organizations.all() {
            if credential_names(&organization.spec).any(|name| name == secret) {
                self.organizations
                    .add(ObjectRef::from_obj(organization.as_ref()));
            }
        }
    }

    fn organization_of(&self, namespace: &str) {
        for organization in self.caches.claims.of_namespace(namespace) {
            self.organizations.add(ObjectRef::new(&organization));
        }
    }
}

fn add_all<K>(queue: &Queue<K>, cache: &Cache<K>, namespace: &str)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    for resource in cache.in_namespace(namespace) {
        queue.add(ObjectRef::new(&resource.name_any()).within(namespace));
    }
}
