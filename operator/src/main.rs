//! `agentapi-operator`: reads its configuration and runs the library.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use agentapi_crds::names;
use agentapi_operator::{GatewayAccess, Placement, RunError, Settings, run};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Turns AgentAPI's resources into Kubernetes objects and one TenantConfig for each organization.
///
/// The cluster is the one of KUBECONFIG, or the one whose pod this runs in.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Namespace of the operator and the gateway; its prompt policies are global.
    #[arg(long, env = "AGENTAPI_PLATFORM_NAMESPACE", default_value = names::DEFAULT_PLATFORM_NAMESPACE)]
    platform_namespace: String,
    /// Address of /live, /ready and /metrics.
    #[arg(long, env = "AGENTAPI_ADMIN_LISTEN", default_value = "0.0.0.0:9091")]
    admin_listen: SocketAddr,
    /// Image of the gateway, from which the bridge of stdio servers is copied.
    #[arg(long, env = "AGENTAPI_GATEWAY_IMAGE")]
    gateway_image: Option<String>,
    /// The gateway's public keys as a JSON Web Key Set, with which bridges check its tokens.
    #[arg(long, env = "AGENTAPI_BRIDGE_JWKS")]
    bridge_jwks: Option<String>,
    /// File with a token of the operator's service account for the audience agentapi-internal.
    /// Without it the gateway is not asked what it serves.
    #[arg(long, env = "AGENTAPI_GATEWAY_TOKEN_FILE")]
    gateway_token_file: Option<PathBuf>,
    /// Operations ports (HOST:PORT) of a gateway outside of the cluster; otherwise the
    /// endpoints of the Service agentapi-gateway-internal are asked.
    #[arg(long, env = "AGENTAPI_GATEWAY_ADDRESSES", value_delimiter = ',')]
    gateway_addresses: Vec<String>,
    /// Address of NodeLocal DNS, where the cluster has it.
    #[arg(long, env = "AGENTAPI_NODE_LOCAL_DNS")]
    node_local_dns: Option<IpAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .init();
    match execute(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the operator ends");
            eprintln!("agentapi-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(arguments: Arguments) -> Result<(), RunError> {
    let addresses = arguments.gateway_addresses;
    let access = |token_file| GatewayAccess {
        token_file,
        addresses,
    };
    let settings = Settings {
        gateway_access: arguments.gateway_token_file.map(access),
        platform_namespace: arguments.platform_namespace,
        gateway_image: arguments.gateway_image,
        bridge_jwks: arguments.bridge_jwks,
        node_local_dns: arguments.node_local_dns,
        ..Settings::new(Placement::Cluster)
    };
    let shutdown = CancellationToken::new();
    tokio::spawn(cancel_on_signal(shutdown.clone()));
    run(settings, arguments.admin_listen, shutdown).await
}

/// SIGTERM and Ctrl-C let what is under way finish.
async fn cancel_on_signal(shutdown: CancellationToken) {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be caught, only Ctrl-C");
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
        }
    }
    tracing::info!("shutting down");
    shutdown.cancel();
}
