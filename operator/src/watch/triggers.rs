//! Who must be looked at again when something changed.

use agentapi_crds::conditions::{self, reasons, types};
use agentapi_crds::{McpServer, Organization, PromptPolicy};
use kube::{Resource, ResourceExt};
use kube_runtime::reflector::{ObjectRef, Store};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Caches;
use super::follow::Touched;
use crate::mcp_server::secret_names;
use crate::organization::{conflicts, namespace_of};

/// References to what must be looked at, by kind.
pub(crate) struct Queues {
    /// Organizations.
    pub organizations: UnboundedReceiver<ObjectRef<Organization>>,
    /// MCP servers.
    pub servers: UnboundedReceiver<ObjectRef<McpServer>>,
    /// Prompt policies.
    pub prompts: UnboundedReceiver<ObjectRef<PromptPolicy>>,
}

/// Knows who depends on what.
#[derive(Clone)]
pub(super) struct Triggers {
    caches: Caches,
    platform_namespace: String,
    organizations: UnboundedSender<ObjectRef<Organization>>,
    servers: UnboundedSender<ObjectRef<McpServer>>,
    prompts: UnboundedSender<ObjectRef<PromptPolicy>>,
}

pub(super) fn channel(caches: Caches, platform_namespace: String) -> (Triggers, Queues) {
    let (organizations, organization_queue) = unbounded_channel();
    let (servers, server_queue) = unbounded_channel();
    let (prompts, prompt_queue) = unbounded_channel();
    let triggers = Triggers {
        caches,
        platform_namespace,
        organizations,
        servers,
        prompts,
    };
    let queues = Queues {
        organizations: organization_queue,
        servers: server_queue,
        prompts: prompt_queue,
    };
    (triggers, queues)
}

impl Triggers {
    /// An organization changed: itself, those that it may have been in the way
    /// of, and everything in its namespace.
    pub(super) fn organization(&self, touched: &Touched) {
        let reference = ObjectRef::<Organization>::new(&touched.name);
        let changed = self.caches.organizations.get(&reference);
        send(&self.organizations, reference);
        for other in self.caches.organizations.state() {
            let rivals = changed
                .as_ref()
                .is_some_and(|changed| !conflicts(&other, &[changed.as_ref()]).is_empty());
            if other.name_any() != touched.name && (rivals || is_stalled_by_conflict(&other)) {
                send(&self.organizations, ObjectRef::from_obj(other.as_ref()));
            }
        }
        if let Some(changed) = changed {
            let namespace = namespace_of(&changed);
            self.all_in(&self.caches.servers, &self.servers, &namespace);
            self.all_in(&self.caches.prompts, &self.prompts, &namespace);
        }
    }

    /// A server changed: itself, its siblings (one may wait for its prefix) and its organization.
    pub(super) fn server(&self, touched: &Touched) {
        let namespace = touched.namespace.as_deref().unwrap_or_default();
        self.all_in(&self.caches.servers, &self.servers, namespace);
        self.organization_of(namespace);
    }

    /// A policy changed: itself, and the organizations it applies to.
    pub(super) fn prompt(&self, touched: &Touched) {
        let namespace = touched.namespace.as_deref().unwrap_or_default();
        send(
            &self.prompts,
            ObjectRef::new(&touched.name).within(namespace),
        );
        if namespace == self.platform_namespace {
            for organization in self.caches.organizations.state() {
                send(
                    &self.organizations,
                    ObjectRef::from_obj(organization.as_ref()),
                );
            }
        } else {
            self.organization_of(namespace);
        }
    }

    /// A Secret changed: the servers that name it, and their organization.
    pub(super) fn secret(&self, touched: &Touched) {
        let namespace = touched.namespace.as_deref().unwrap_or_default();
        for server in self.caches.servers.state() {
            if server.namespace().as_deref() == Some(namespace)
                && secret_names(&server.spec).contains(touched.name.as_str())
            {
                send(&self.servers, ObjectRef::from_obj(server.as_ref()));
            }
        }
        self.organization_of(namespace);
    }

    /// An object of ours changed: whoever it was made for.
    pub(super) fn owned(&self, touched: &Touched) {
        match (&touched.server, &touched.organization) {
            (Some(server), _) => {
                let namespace = touched.namespace.as_deref().unwrap_or_default();
                send(&self.servers, ObjectRef::new(server).within(namespace));
            }
            (None, Some(organization)) => send(&self.organizations, ObjectRef::new(organization)),
            (None, None) => {}
        }
    }

    fn organization_of(&self, namespace: &str) {
        for organization in self.caches.organizations.state() {
            if namespace_of(&organization) == namespace {
                send(
                    &self.organizations,
                    ObjectRef::from_obj(organization.as_ref()),
                );
            }
        }
    }

    fn all_in<K>(&self, store: &Store<K>, queue: &UnboundedSender<ObjectRef<K>>, namespace: &str)
    where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        for resource in store.state() {
            if resource.meta().namespace.as_deref() == Some(namespace) {
                send(queue, ObjectRef::from_obj(resource.as_ref()));
            }
        }
    }
}

/// Whether an earlier organization stood in the way when this one was last looked at.
fn is_stalled_by_conflict(organization: &Organization) -> bool {
    let conditions = organization
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    conditions::find(conditions.unwrap_or_default(), types::STALLED).is_some_and(|stalled| {
        [reasons::ISSUER_CONFLICT, reasons::NAME_CONFLICT].contains(&stalled.reason.as_str())
    })
}

/// Nobody listens any more only while the operator shuts down.
fn send<K: Resource>(queue: &UnboundedSender<ObjectRef<K>>, reference: ObjectRef<K>) {
    let _ = queue.send(reference);
}
