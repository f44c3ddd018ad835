//! The operator's life: wait for the definitions, watch, lead, reconcile, stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use agentapi_crds::{McpServer, Organization, PromptPolicy};
use kube::api::ListParams;
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::apply::Writer;
use crate::context::{Context, Failures};
use crate::controller;
use crate::events::Announcer;
use crate::fence::fenced_client;
use crate::gateway_api::{Gateways, Wake};
use crate::health::{self, Readiness};
use crate::leader::Elector;
use crate::metrics::{Census, Metrics};
use crate::organization::Documents;
use crate::secrets::SecretReader;
use crate::settings::Settings;
use crate::watch::{self, Caches, WatchEnded};
use crate::{mcp_server, organization, prompt_policy};

/// Pause between looks at what is missing at start.
const PAUSE: Duration = Duration::from_secs(1);

/// Why the operator ended without having been told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no way to a cluster.
    #[error("no cluster: set KUBECONFIG, or run in a pod: {0}")]
    Client(#[source] Box<kube::Error>),
    /// The operator's own port cannot be served.
    #[error("{address} (AGENTAPI_ADMIN_LISTEN) cannot be served: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A watch ended.
    #[error(transparent)]
    Watch(#[from] WatchEnded),
    /// Another replica may lead now, so nothing may be written any more.
    #[error("leadership was lost: ending, so that a restart takes part in the election anew")]
    LeadershipLost,
}

/// Runs until `shutdown`.
///
/// # Errors
/// When something ends that must not.
pub async fn run(
    settings: Settings,
    admin: SocketAddr,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let readiness = Readiness::default();
    let metrics = Metrics::default();
    readiness.wait_for("start", "the operator is starting");
    // Served to the very end: its own end must not cut the shutdown short.
    let serve = health::serve(admin, readiness.clone(), metrics.clone());
    let operate = operate(settings, readiness, metrics, shutdown);
    tokio::select! {
        served = serve => served.map_err(|source| RunError::Listen { address: admin, source }),
        operated = operate => operated,
    }
}

async fn operate(
    settings: Settings,
    readiness: Readiness,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let no_cluster = |source| RunError::Client(Box::new(source));
    let config = Config::infer()
        .await
        .map_err(|source| no_cluster(kube::Error::InferConfig(source)))?;
    let client = Client::try_from(config.clone()).map_err(no_cluster)?;
    let mut tasks = JoinSet::new();
    let prepare = async {
        wait_for_definition::<Organization>("organizations", &client, &readiness).await;
        wait_for_definition::<McpServer>("mcpservers", &client, &readiness).await;
        wait_for_definition::<PromptPolicy>("promptpolicies", &client, &readiness).await;
        readiness.wait_for(
            "watches",
            "listing what there is; the log tells if the API server refuses",
        );
        let watches = watch::start(&client, &settings, &metrics, &readiness, &mut tasks).await?;
        readiness.done("watches");
        // A replica that waits for leadership is ready to take over.
        readiness.done("start");
        Ok::<_, WatchEnded>(watches)
    };
    let watches = tokio::select! {
        watches = prepare => watches?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let mut elector = Elector::new(client.clone(), &settings.platform_namespace);
    metrics.count_organizations_with(census(&watches.caches));
    tokio::select! {
        () = elector.acquire() => {
            metrics.leading(true);
            readiness.leads();
        }
        _ = tasks.join_next() => return Err(WatchEnded.into()),
        () = shutdown.cancelled() => return Ok(()),
    }
    let mut gateway_tasks = JoinSet::new();
    let gateways = Gateways::start(
        settings.gateway_access.as_ref(),
        &client,
        &settings.platform_namespace,
        Wake {
            caches: watches.caches.clone(),
            organizations: watches.queues.organizations.queue.clone(),
            servers: watches.queues.servers.queue.clone(),
        },
        &mut gateway_tasks,
    );
    let leader_client = fenced_client(&config, &elector.leadership()).map_err(no_cluster)?;
    let context = Arc::new(Context {
        writer: Writer::new(
            leader_client.clone(),
            elector.leadership(),
            watches.owned.clone(),
            Announcer::new(leader_client, elector.identity()),
            metrics.clone(),
        ),
        secrets: SecretReader::new(client, watches.caches.secrets.clone()),
        caches: watches.caches,
        owned: watches.owned,
        settings,
        gateways,
        metrics,
        documents: Documents::default(),
        failures: Failures::default(),
    });
    let caches = context.caches.clone();
    let queues = watches.queues;
    let stop = shutdown.child_token();
    let controllers = async {
        tokio::join!(
            controller::run(
                "Organization",
                caches.organizations,
                queues.organizations,
                context.clone(),
                organization::reconcile,
                stop.clone()
            ),
            controller::run(
                "McpServer",
                caches.servers,
                queues.servers,
                context.clone(),
                mcp_server::reconcile,
                stop.clone()
            ),
            controller::run(
                "PromptPolicy",
                caches.prompts,
                queues.prompts,
                context.clone(),
                prompt_policy::reconcile,
                stop.clone()
            ),
        )
    };
    tokio::select! {
        _ = controllers => {}
        () = elector.keep() => return Err(RunError::LeadershipLost),
        // None ends before all of them are dropped, unless it broke.
        _ = tasks.join_next() => return Err(WatchEnded.into()),
    }
    elector.release().await;
    Ok(())
}

/// What counts organizations by condition.
fn census(caches: &Caches) -> Census {
    let organizations = caches.organizations.clone();
    Box::new(move || {
        let all = organizations.all();
        let statuses = all
            .iter()
            .filter_map(|organization| organization.status.as_ref());
        let conditions = statuses.flat_map(|status| &status.conditions);
        conditions
            .map(|condition| (condition.type_.clone(), condition.status.clone()))
            .collect()
    })
}

/// Waits until the API server serves a resource and lets the operator list it.
async fn wait_for_definition<K>(plural: &'static str, client: &Client, readiness: &Readiness)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::all(client.clone());
    while let Err(error) = api.list_metadata(&ListParams::default().limit(1)).await {
        let why = match &error {
            kube::Error::Api(status) if status.is_not_found() => {
                "there is no such resource yet: install the chart agentapi-crds".to_owned()
            }
            kube::Error::Api(status) if status.is_forbidden() => {
                format!(
                    "{}: install the chart agentapi, which grants the operator its rights",
                    status.message
                )
            }
            other => other.to_string(),
        };
        tracing::info!(plural, why, "waiting");
        readiness.wait_for(plural, why);
        tokio::time::sleep(PAUSE).await;
    }
    readiness.done(plural);
}
