//! Watching until everything is ready.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use agentapi_crds::conditions::{self, types};
use agentapi_crds::{McpServer, Organization, PromptPolicy};
use anyhow::{Result, bail};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

/// Longest time in which nothing becomes ready.
const PATIENCE: Duration = Duration::from_secs(120);
const INTERVAL: Duration = Duration::from_millis(20);

/// Names of what is ready, kept up to date by watches.
#[derive(Default)]
pub(super) struct Ready {
    ready: Arc<Mutex<HashSet<String>>>,
    watches: JoinSet<()>,
}

impl Ready {
    /// Starts to watch organizations, servers and prompt policies.
    pub(super) fn watch(client: &Client) -> Self {
        let mut ready = Self::default();
        ready.follow(
            Api::<Organization>::all(client.clone()),
            organization_is_ready,
        );
        ready.follow(Api::<McpServer>::all(client.clone()), |server| {
            let status = server.status.as_ref();
            is_ready(status.map(|status| status.conditions.as_slice()))
        });
        ready.follow(Api::<PromptPolicy>::all(client.clone()), |policy| {
            let status = policy.status.as_ref();
            is_ready(status.map(|status| status.conditions.as_slice()))
        });
        ready
    }

    fn follow<K>(&mut self, api: Api<K>, judge: fn(&K) -> bool)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let ready = self.ready.clone();
        self.watches.spawn(async move {
            let changes = watcher(api, watcher::Config::default())
                .default_backoff()
                .applied_objects();
            let mut changes = std::pin::pin!(changes);
            while let Some(change) = changes.next().await {
                let Ok(object) = change else { continue };
                let name = format!(
                    "{}/{}/{}",
                    K::kind(&()),
                    object.namespace().unwrap_or_default(),
                    object.name_any()
                );
                let mut ready = ready.lock().unwrap_or_else(PoisonError::into_inner);
                if judge(&object) {
                    ready.insert(name);
                } else {
                    ready.remove(&name);
                }
            }
        });
    }

    fn count(&self) -> usize {
        self.ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Waits until that many are ready.
    pub(super) async fn wait_for(&self, wanted: usize) -> Result<()> {
        let (mut before, mut since) = (self.count(), Instant::now());
        loop {
            let now = self.count();
            if now >= wanted {
                return Ok(());
            }
            if now != before {
                (before, since) = (now, Instant::now());
            }
            if since.elapsed() > PATIENCE {
                bail!("{now} of {wanted} resources are ready, and no more for {PATIENCE:?}");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// Ready, with the document that holds both servers.
fn organization_is_ready(organization: &Organization) -> bool {
    let status = organization.status.as_ref();
    status.and_then(|status| status.servers) == Some(2)
        && is_ready(status.map(|status| status.conditions.as_slice()))
}

fn is_ready(found: Option<&[Condition]>) -> bool {
    conditions::find(found.unwrap_or_default(), types::READY)
        .is_some_and(|ready| ready.status == "True")
}

/// Names of namespaces as they appear.
pub(super) fn namespaces(client: &Client) -> (JoinSet<()>, UnboundedReceiver<String>) {
    let (send, receive) = unbounded_channel();
    let api: Api<Namespace> = Api::all(client.clone());
    let mut watch = JoinSet::new();
    watch.spawn(async move {
        let config = watcher::Config::default().labels(agentapi_crds::names::ORGANIZATION_LABEL);
        let changes = watcher(api, config).default_backoff().applied_objects();
        let mut changes = std::pin::pin!(changes);
        let mut seen = HashSet::new();
        while let Some(change) = changes.next().await {
            let Ok(namespace) = change else { continue };
            if seen.insert(namespace.name_any()) && send.send(namespace.name_any()).is_err() {
                return;
            }
        }
    });
    (watch, receive)
}
