//! `agentapi render`: what the operator would apply.

use std::path::PathBuf;

use agentapi_operator::{Placement, Settings, desired};

use crate::failure::Failure;
use crate::manifests::Manifests;
use crate::{output, report};

/// Image of the gateway in rendered workloads unless said otherwise.
const GATEWAY_IMAGE: &str = "agentapi-gateway:dev";

/// What to render.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder of manifests
    #[arg(long, value_name = "DIR")]
    manifests: PathBuf,
    /// Image that the bridge of stdio servers is copied from
    #[arg(long, value_name = "IMAGE", env = "AGENTAPI_GATEWAY_IMAGE", default_value = GATEWAY_IMAGE)]
    gateway_image: String,
    /// Public keys (JWKS) with which bridges check the gateway's tokens
    #[arg(
        long,
        value_name = "JSON",
        env = "AGENTAPI_BRIDGE_JWKS",
        default_value = r#"{"keys":[]}"#
    )]
    bridge_jwks: String,
    /// Namespace of the platform, whose prompt policies are global
    #[arg(long, value_name = "NAMESPACE", env = "AGENTAPI_PLATFORM_NAMESPACE", default_value = agentapi_crds::names::DEFAULT_PLATFORM_NAMESPACE)]
    platform_namespace: String,
}

/// Prints every object as a YAML document, in the order of their application.
/// What keeps resources from being served is told on standard error.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let manifests = Manifests::load(&arguments.manifests)
        .map_err(|error| report::manifests(&arguments.manifests, error))?;
    let settings = Settings {
        gateway_image: Some(arguments.gateway_image),
        bridge_jwks: Some(arguments.bridge_jwks),
        platform_namespace: arguments.platform_namespace,
        ..Settings::new(Placement::Cluster)
    };
    let desired = desired(&manifests.inputs, &settings);
    report::findings(&manifests, &desired.findings);
    for object in &desired.objects {
        let yaml = serde_yaml::to_string(object).map_err(|error| {
            let what = format!("{} cannot be written as YAML", object.title());
            Failure::new(what, "agentapi render --help").because(error)
        })?;
        output::text_block(&format!("---\n{yaml}"))?;
    }
    Ok(())
}
