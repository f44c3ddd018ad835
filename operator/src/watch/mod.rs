//! What the operator watches: one watch for each kind, a cache that is always
//! updated before anybody is told, and who is told.

mod cache;
mod follow;
mod owned;
mod queue;
mod triggers;

use agentapi_crds::{McpServer, Organization, PromptPolicy, names};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PartialObjectMeta;
use kube::{Api, Client, Resource};
use kube_runtime::reflector::ObjectRef;
use kube_runtime::reflector::store::Writer;
use kube_runtime::watcher::{self, watcher};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub(crate) use cache::Cache;
pub(crate) use owned::Metadata;
pub(crate) use owned::OwnedObjects;
pub(crate) use queue::Queue;
pub(crate) use triggers::Queues;

use self::follow::{Follower, generation, version};
use crate::health::Readiness;
use crate::metrics::Metrics;
use crate::object::Kind;
use crate::organization::ClaimIndex;
use crate::settings::Settings;

/// How long one watch request lasts, in seconds: one that went silent without
/// being closed, as behind a broken proxy, is noticed soon after.
const WATCH_SECONDS: u32 = 60;

/// The present resources.
#[derive(Clone)]
pub struct Caches {
    /// All organizations.
    pub organizations: Cache<Organization>,
    /// What organizations claim.
    pub claims: ClaimIndex,
    /// All MCP servers.
    pub servers: Cache<McpServer>,
    /// All prompt policies.
    pub prompts: Cache<PromptPolicy>,
    /// Metadata of all Secrets labelled as credentials.
    pub secrets: Cache<PartialObjectMeta<Secret>>,
}

/// What must be looked at of one kind.
pub(crate) struct Requests<K: Resource<DynamicType = ()>> {
    /// Told when a look begins.
    pub(crate) queue: Queue<K>,
    /// Where the references come out.
    pub(crate) receiver: UnboundedReceiver<ObjectRef<K>>,
}

/// Everything that was started.
pub(crate) struct Watches {
    /// The present resources.
    pub caches: Caches,
    /// The present objects that carry the operator's label.
    pub owned: OwnedObjects,
    /// Who must be looked at.
    pub queues: Queues,
}

/// A watch ended, which none ever should.
#[derive(Debug, thiserror::Error)]
#[error("a watch ended: the log says which, and a restart begins anew")]
pub struct WatchEnded;

/// Starts all watches as tasks, and returns when all of them have listed what
/// there is: composing a document from half of the servers would drop the others.
///
/// # Errors
/// When a watch ends before that.
pub(crate) async fn start(
    client: &Client,
    settings: &Settings,
    metrics: &Metrics,
    readiness: &Readiness,
    tasks: &mut JoinSet<()>,
) -> Result<Watches, WatchEnded> {
    let (organizations, organization_writer) = Cache::new(());
    let (servers, server_writer) = Cache::new(());
    let (prompts, prompt_writer) = Cache::new(());
    let (secrets, secret_writer) = Cache::new(());
    let caches = Caches {
        organizations: organizations.clone(),
        claims: ClaimIndex::default(),
        servers: servers.clone(),
        prompts: prompts.clone(),
        secrets: secrets.clone(),
    };
    let platform_namespace = settings.platform_namespace.clone();
    let (triggers, queues) = triggers::channel(caches.clone(), platform_namespace, metrics);
    let mut starter = Starter {
        metrics,
        readiness,
        listed: Vec::new(),
    };
    let all = || {
        watcher::Config::default()
            .streaming_lists()
            .timeout(WATCH_SECONDS)
    };

    let follower = starter.follower("Organization", organizations, organization_writer);
    let events = watcher(Api::<Organization>::all(client.clone()), all());
    let told = triggers.clone();
    tasks.spawn(follower.run(events, generation, move |touched| {
        told.organization(touched);
    }));

    let follower = starter.follower("McpServer", servers, server_writer);
    let events = watcher(Api::<McpServer>::all(client.clone()), all());
    let told = triggers.clone();
    tasks.spawn(follower.run(events, generation, move |touched| told.server(touched)));

    let follower = starter.follower("PromptPolicy", prompts, prompt_writer);
    let events = watcher(Api::<PromptPolicy>::all(client.clone()), all());
    let told = triggers.clone();
    tasks.spawn(follower.run(events, generation, move |touched| told.prompt(touched)));

    // Metadata only: the values of Secrets are never sent here.
    let credentials = all().labels(&format!("{}={}", names::USE_LABEL, names::USE_CREDENTIAL));
    let follower = starter.follower("Secret", secrets, secret_writer);
    let events = watcher(
        Api::<PartialObjectMeta<Secret>>::all(client.clone()),
        credentials,
    );
    let told = triggers.clone();
    tasks.spawn(follower.run(events, version, move |touched| told.secret(touched)));

    let ours = all().labels(&format!("{}={}", names::MANAGED_BY_LABEL, names::MANAGER));
    let mut owned = OwnedObjects::default();
    for kind in Kind::ALL {
        let (cache, writer) = owned.insert(kind);
        let follower = starter.follower(kind.name(), cache, writer);
        let events = watcher(watched(kind, client), ours.clone());
        let told = triggers.clone();
        tasks.spawn(follower.run(events, version, move |touched| {
            told.owned(kind, touched);
        }));
    }

    try_join_all(starter.listed).await.map_err(|_| WatchEnded)?;
    Ok(Watches {
        caches,
        owned,
        queues,
    })
}

fn watched(kind: Kind, client: &Client) -> Api<Metadata> {
    let resource = kind.api_resource();
    match kind {
        // The only ConfigMaps of ours, and the only ones the operator may see.
        Kind::ConfigMap => {
            Api::namespaced_with(client.clone(), names::TENANTS_NAMESPACE, &resource)
        }
        _ => Api::all_with(client.clone(), &resource),
    }
}

/// What all followers have in common.
struct Starter<'a> {
    metrics: &'a Metrics,
    readiness: &'a Readiness,
    listed: Vec<oneshot::Receiver<()>>,
}

impl Starter<'_> {
    fn follower<K>(&mut self, kind: &'static str, cache: Cache<K>, writer: Writer<K>) -> Follower<K>
    where
        K: Resource + Clone + 'static,
        K::DynamicType: Eq + std::hash::Hash + Clone,
    {
        let (listed, waiting) = oneshot::channel();
        self.listed.push(waiting);
        Follower {
            kind,
            cache,
            writer,
            listed: Some(listed),
            metrics: self.metrics.clone(),
            readiness: self.readiness.clone(),
        }
    }
}
