//! What the operator watches: one watch for each kind, a store that is always
//! updated before anybody is told, and who is told.

mod follow;
mod owned;
mod triggers;

use agentapi_crds::{McpServer, Organization, PromptPolicy, names};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PartialObjectMeta;
use kube::{Api, Client};
use kube_runtime::reflector::{Store, store};
use kube_runtime::watcher;
use tokio::task::JoinSet;

pub(crate) use owned::OwnedObjects;
pub(crate) use triggers::Queues;

use self::follow::{follow, generation, version};
use crate::metrics::Metrics;
use crate::object::Kind;
use crate::settings::Settings;

/// The present resources.
#[derive(Clone)]
pub struct Caches {
    /// All organizations.
    pub organizations: Store<Organization>,
    /// All MCP servers.
    pub servers: Store<McpServer>,
    /// All prompt policies.
    pub prompts: Store<PromptPolicy>,
    /// Metadata of all Secrets labelled as credentials.
    pub secrets: Store<PartialObjectMeta<Secret>>,
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

/// A watch ended before it had listed everything.
#[derive(Debug, thiserror::Error)]
#[error("a watch ended before it had listed everything")]
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
    tasks: &mut JoinSet<()>,
) -> Result<Watches, WatchEnded> {
    let (organizations, organization_writer) = store();
    let (servers, server_writer) = store();
    let (prompts, prompt_writer) = store();
    let (secrets, secret_writer) = store();
    let caches = Caches {
        organizations,
        servers,
        prompts,
        secrets,
    };
    let (triggers, queues) = triggers::channel(caches.clone(), settings.platform_namespace.clone());
    let all = || watcher::Config::default().streaming_lists();

    let told = triggers.clone();
    let touch = move |touched: &_| told.organization(touched);
    tasks.spawn(follow(
        "Organization",
        Api::all(client.clone()),
        all(),
        organization_writer,
        generation,
        touch,
        metrics.clone(),
    ));
    let told = triggers.clone();
    let touch = move |touched: &_| told.server(touched);
    tasks.spawn(follow(
        "McpServer",
        Api::all(client.clone()),
        all(),
        server_writer,
        generation,
        touch,
        metrics.clone(),
    ));
    let told = triggers.clone();
    let touch = move |touched: &_| told.prompt(touched);
    tasks.spawn(follow(
        "PromptPolicy",
        Api::all(client.clone()),
        all(),
        prompt_writer,
        generation,
        touch,
        metrics.clone(),
    ));

    let credentials = all().labels(&format!("{}={}", names::USE_LABEL, names::USE_CREDENTIAL));
    let told = triggers.clone();
    let touch = move |touched: &_| told.secret(touched);
    tasks.spawn(follow(
        "Secret",
        Api::all(client.clone()),
        credentials,
        secret_writer,
        version,
        touch,
        metrics.clone(),
    ));

    let ours = all().labels(&format!("{}={}", names::MANAGED_BY_LABEL, names::MANAGER));
    let mut owned = OwnedObjects::default();
    for kind in Kind::ALL {
        let resource = kind.api_resource();
        let writer = owned.insert(kind, resource.clone());
        let api = match kind {
            // The only ConfigMaps of ours, and the only ones the operator may see.
            Kind::ConfigMap => {
                Api::namespaced_with(client.clone(), names::TENANTS_NAMESPACE, &resource)
            }
            _ => Api::all_with(client.clone(), &resource),
        };
        let told = triggers.clone();
        let touch = move |touched: &_| told.owned(touched);
        tasks.spawn(follow(
            kind.name(),
            api,
            ours.clone(),
            writer,
            version,
            touch,
            metrics.clone(),
        ));
    }

    caches
        .organizations
        .wait_until_ready()
        .await
        .map_err(|_| WatchEnded)?;
    caches
        .servers
        .wait_until_ready()
        .await
        .map_err(|_| WatchEnded)?;
    caches
        .prompts
        .wait_until_ready()
        .await
        .map_err(|_| WatchEnded)?;
    caches
        .secrets
        .wait_until_ready()
        .await
        .map_err(|_| WatchEnded)?;
    owned.wait_until_ready().await.map_err(|_| WatchEnded)?;
    Ok(Watches {
        caches,
        owned,
        queues,
    })
}
