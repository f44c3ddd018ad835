//! Which replicas of the gateway there are: the endpoints of its internal
//! Service, or those that the configuration names.

use std::collections::BTreeMap;
use std::pin::pin;

use agentapi_crds::names::GATEWAY_INTERNAL_SERVICE;
use futures::StreamExt;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::{Api, Client, ResourceExt};
use kube_runtime::WatchStreamExt;
use kube_runtime::watcher::{self, Event, watcher};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Name of the Service's port that the internal API is on.
const PORT: &str = "admin";

/// One replica of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Name of its pod, or its address.
    pub name: String,
    /// `HOST:PORT` of its operations port.
    pub address: String,
    /// Whether Kubernetes sends it traffic. Of replicas outside of the cluster this is not known.
    pub ready: Option<bool>,
}

/// The replicas that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    /// Whether the endpoints were read yet.
    pub known: bool,
    /// All of them by name.
    pub all: BTreeMap<String, Replica>,
}

impl Replicas {
    /// The replicas at fixed addresses.
    pub fn at(addresses: &[String]) -> Self {
        let replica = |address: &String| Replica {
            name: address.clone(),
            address: address.clone(),
            ready: None,
        };
        Self {
            known: true,
            all: addresses
                .iter()
                .map(|address| (address.clone(), replica(address)))
                .collect(),
        }
    }

    /// The replicas that EndpointSlices name.
    pub fn of<'a>(slices: impl IntoIterator<Item = &'a EndpointSlice>) -> Self {
        let replicas = slices.into_iter().flat_map(replicas_of);
        Self {
            known: true,
            all: replicas
                .map(|replica| (replica.name.clone(), replica))
                .collect(),
        }
    }
}

fn replicas_of(slice: &EndpointSlice) -> Vec<Replica> {
    let ports = slice.ports.as_deref().unwrap_or_default();
    let port = ports.iter().find(|port| port.name.as_deref() == Some(PORT));
    let Some(port) = port.and_then(|port| port.port) else {
        return Vec::new();
    };
    let host = |address: &str| match slice.address_type.as_str() {
        "IPv6" => format!("[{address}]"),
        _ => address.to_owned(),
    };
    let replica = |endpoint: &Endpoint| {
        let address = endpoint.addresses.first()?;
        let pod = endpoint
            .target_ref
            .as_ref()
            .and_then(|target| target.name.clone());
        let conditions = endpoint.conditions.as_ref();
        Some(Replica {
            name: pod.unwrap_or_else(|| address.clone()),
            address: format!("{}:{port}", host(address)),
            // "unknown" is to be taken for ready (EndpointConditions).
            ready: Some(
                conditions
                    .and_then(|conditions| conditions.ready)
                    .unwrap_or(true),
            ),
        })
    };
    slice.endpoints.iter().filter_map(replica).collect()
}

/// Follows the replicas as a task, unless they are at fixed addresses.
pub(super) fn watch(
    client: &Client,
    namespace: &str,
    addresses: &[String],
    tasks: &mut JoinSet<()>,
) -> watch::Receiver<Replicas> {
    if !addresses.is_empty() {
        return watch::Sender::new(Replicas::at(addresses)).subscribe();
    }
    let (sender, receiver) = watch::channel(Replicas::default());
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    tasks.spawn(follow(slices, sender));
    receiver
}

async fn follow(slices: Api<EndpointSlice>, replicas: watch::Sender<Replicas>) {
    let ours = format!("kubernetes.io/service-name={GATEWAY_INTERNAL_SERVICE}");
    let config = watcher::Config::default().labels(&ours).streaming_lists();
    let mut events = pin!(watcher(slices, config).default_backoff());
    let mut present: BTreeMap<String, EndpointSlice> = BTreeMap::new();
    let mut listed = BTreeMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = BTreeMap::new(),
            Ok(Event::InitApply(slice)) => drop(listed.insert(slice.name_any(), slice)),
            Ok(Event::InitDone) => present = std::mem::take(&mut listed),
            Ok(Event::Apply(slice)) => drop(present.insert(slice.name_any(), slice)),
            Ok(Event::Delete(slice)) => drop(present.remove(&slice.name_any())),
            Err(error) => {
                tracing::warn!(%error, "the gateway's endpoints cannot be watched, trying again");
                continue;
            }
        }
        if listed.is_empty() {
            let now = Replicas::of(present.values());
            replicas.send_if_modified(|before| {
                let is_new = *before != now;
                *before = now;
                is_new
            });
        }
    }
}

#[cfg(test)]
#[path = "replicas_tests.rs"]
mod tests;
