//! Where a server is, what must run for it, and the host its credentials go to.

use std::collections::BTreeMap;

use agentapi_crds::McpServer;
use agentapi_crds::mcp_server::{ContainerTarget, RemoteTarget, StdioEnv, StdioTarget};
use agentapi_crds::tenant_config::{ProcessValue, ServerTarget};
use url::Url;

use super::credentials::{self, Destination};
use super::image;
use super::validate::name_of;
use super::validated::{Surroundings, Workload, WorkloadProgram};
use crate::problem::Problem;
use crate::settings::Placement;

/// Port on which the bridge of a `stdio` server listens.
const BRIDGE_PORT: u16 = 8080;
/// Start of the names of variables that configure the bridge.
const OWN_VARIABLES: &str = "AGENTAPI_";
/// Path of the bridge's MCP endpoint.
const BRIDGE_PATH: &str = "/mcp";

/// Why a server cannot be placed.
pub(super) enum Refusal {
    /// The spec must change; the server keeps what it had.
    Invalid(Problem),
    /// A Secret must change; the server is withdrawn at once.
    Secret(Problem),
}

/// Where a server is, what must run for it, and the host its credentials go to.
pub(super) struct Placed {
    pub(super) target: ServerTarget,
    pub(super) workload: Option<Workload>,
    pub(super) host: String,
}

pub(super) fn place(
    server: &McpServer,
    surroundings: &Surroundings<'_>,
) -> Result<Placed, Refusal> {
    let spec = &server.spec;
    match (&spec.remote, &spec.container, &spec.stdio) {
        (Some(remote), None, None) => place_remote(remote).map_err(Refusal::Invalid),
        (None, Some(container), None) => {
            place_container(server, container, surroundings).map_err(Refusal::Invalid)
        }
        (None, None, Some(stdio)) => place_stdio(server, stdio, surroundings),
        _ => Err(Refusal::Invalid(Problem::invalid(
            "spec",
            "exactly one of remote, container and stdio is required",
        ))),
    }
}

fn place_remote(remote: &RemoteTarget) -> Result<Placed, Problem> {
    const FIELD: &str = "spec.remote.url";
    let url = Url::parse(&remote.url)
        .map_err(|error| Problem::invalid(FIELD, format!("is not a URL: {error}")))?;
    let host = url
        .host_str()
        .filter(|_| matches!(url.scheme(), "http" | "https"));
    let host =
        host.ok_or_else(|| Problem::invalid(FIELD, "must be an absolute http or https URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::invalid(
            FIELD,
            "must not carry user information: use spec.auth",
        ));
    }
    Ok(Placed {
        host: host.to_owned(),
        target: ServerTarget::Remote {
            url: remote.url.clone(),
            transport: remote.transport,
            ca_bundle: remote.ca_bundle.clone(),
        },
        workload: None,
    })
}

fn place_container(
    server: &McpServer,
    container: &ContainerTarget,
    surroundings: &Surroundings<'_>,
) -> Result<Placed, Problem> {
    check_image(&container.image, "spec.container.image", surroundings)?;
    let env = container
        .env
        .iter()
        .map(|entry| (entry.name.clone(), entry.value.clone()));
    let workload = Workload {
        image: container.image.clone(),
        port: container.port,
        args: container.args.clone(),
        program: WorkloadProgram::Http { env: env.collect() },
        replicas: replicas(server, surroundings),
        resources: server.spec.resources.clone().unwrap_or_default(),
    };
    Ok(in_cluster(server, surroundings, workload, &container.path))
}

fn place_stdio(
    server: &McpServer,
    stdio: &StdioTarget,
    surroundings: &Surroundings<'_>,
) -> Result<Placed, Refusal> {
    let env = process_environment(&stdio.env, surroundings)?;
    if surroundings.settings.placement == Placement::Embedded {
        return Ok(Placed {
            host: name_of(server).to_owned(),
            target: ServerTarget::Process {
                command: stdio.command.clone(),
                args: stdio.args.clone(),
                env,
            },
            workload: None,
        });
    }
    check_image(&stdio.image, "spec.stdio.image", surroundings).map_err(Refusal::Invalid)?;
    if server.spec.replicas > 1 {
        return Err(Refusal::Invalid(Problem::not_supported(
            "spec.replicas",
            "a stdio server holds its sessions in one pod, and more are not supported yet: use 1",
        )));
    }
    let settings = surroundings.settings;
    let (Some(gateway_image), Some(jwks)) = (&settings.gateway_image, &settings.bridge_jwks) else {
        return Err(Refusal::Invalid(Problem::not_supported(
            "spec.stdio",
            "the operator was started without AGENTAPI_GATEWAY_IMAGE and AGENTAPI_BRIDGE_JWKS, which bridges need: the platform engineer must set both",
        )));
    };
    let workload = Workload {
        image: stdio.image.clone(),
        port: BRIDGE_PORT,
        args: stdio.args.clone(),
        program: WorkloadProgram::Bridge {
            gateway_image: gateway_image.clone(),
            jwks: jwks.clone(),
            audience: format!(
                "agentapi-bridge/{}/{}",
                surroundings.organization.namespace,
                name_of(server)
            ),
            command: stdio.command.clone(),
            env,
        },
        replicas: replicas(server, surroundings),
        resources: server.spec.resources.clone().unwrap_or_default(),
    };
    Ok(in_cluster(server, surroundings, workload, BRIDGE_PATH))
}

/// Nothing runs for an organization that is suspended; what its servers keep stays.
fn replicas(server: &McpServer, surroundings: &Surroundings<'_>) -> u32 {
    if surroundings.organization.suspended {
        0
    } else {
        server.spec.replicas
    }
}

fn in_cluster(
    server: &McpServer,
    surroundings: &Surroundings<'_>,
    workload: Workload,
    path: &str,
) -> Placed {
    let namespace = &surroundings.organization.namespace;
    let service = name_of(server);
    let bridge = matches!(workload.program, WorkloadProgram::Bridge { .. });
    Placed {
        host: format!("{service}.{namespace}.svc"),
        target: ServerTarget::InCluster {
            namespace: namespace.clone(),
            service: service.to_owned(),
            port: workload.port,
            path: path.to_owned(),
            bridge,
        },
        workload: Some(workload),
    }
}

fn process_environment(
    env: &[StdioEnv],
    surroundings: &Surroundings<'_>,
) -> Result<BTreeMap<String, ProcessValue>, Refusal> {
    let mut resolved = BTreeMap::new();
    for (index, entry) in env.iter().enumerate() {
        let field = format!("spec.stdio.env[{index}]");
        if entry.name.starts_with(OWN_VARIABLES) {
            let message = "names that start with AGENTAPI_ are the platform's: choose another";
            return Err(Refusal::Invalid(Problem::invalid(
                format!("{field}.name"),
                message,
            )));
        }
        let value = match (&entry.value, &entry.secret_ref) {
            (_, None) => ProcessValue::Literal(entry.value.clone().unwrap_or_default()),
            (None, Some(reference)) => credentials::resolve(
                surroundings.secrets,
                &surroundings.organization.namespace,
                reference,
                &Destination::Process,
                &format!("{field}.secretRef"),
            )
            .map(ProcessValue::Secret)
            .map_err(Refusal::Secret)?,
            (Some(_), Some(_)) => {
                let message = "has both value and secretRef: keep one";
                return Err(Refusal::Invalid(Problem::invalid(field, message)));
            }
        };
        resolved.insert(entry.name.clone(), value);
    }
    Ok(resolved)
}

fn check_image(image: &str, field: &str, surroundings: &Surroundings<'_>) -> Result<(), Problem> {
    let registries = &surroundings.organization.registries;
    if image::is_allowed(image, registries) {
        Ok(())
    } else {
        Err(Problem::invalid(
            field,
            format!(
                "`{image}` comes from none of the organization's registries: {}",
                registries.join(", ")
            ),
        ))
    }
}
