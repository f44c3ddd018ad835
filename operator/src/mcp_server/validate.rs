//! Checks an `McpServer` beyond what its schema can say, and resolves it.

use std::collections::BTreeMap;

use agentapi_crds::conditions::reasons;
use agentapi_crds::mcp_server::{
    ContainerTarget, RemoteTarget, RemoteTransport, Resources, StdioEnv, StdioTarget,
};
use agentapi_crds::tenant_config::{
    self as document, CredentialHeader, ProcessValue, ServerTarget,
};
use agentapi_crds::{McpServer, McpServerSpec, duration};
use globset::Glob;
use url::Url;

use super::credentials::{self, Destination};
use super::{image, supported};
use crate::inputs::Secrets;
use crate::organization::ValidatedOrganization;
use crate::problem::{Member, Problem};
use crate::rank::is_earlier;
use crate::settings::{Placement, Settings};

/// Port on which the bridge of a `stdio` server listens.
const BRIDGE_PORT: u16 = 8080;
/// Start of the names of variables that configure the bridge.
const OWN_VARIABLES: &str = "AGENTAPI_";
/// Path of the bridge's MCP endpoint.
const BRIDGE_PATH: &str = "/mcp";

/// What a server is judged by, besides its own spec.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The organization that the server belongs to.
    pub organization: &'a ValidatedOrganization,
    /// All servers of the same namespace; may include the one judged.
    pub siblings: &'a [&'a McpServer],
    /// Secrets of the namespace.
    pub secrets: &'a Secrets,
    /// What the platform decides.
    pub settings: &'a Settings,
}

/// A server that can be served, and the workload it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedServer {
    /// Name of the `McpServer`.
    pub name: String,
    /// UID of the `McpServer`; absent outside of a cluster.
    pub uid: Option<String>,
    /// The server's entry in its organization's document.
    pub config: document::ServerConfig,
    /// What runs in the cluster; none for remote servers and in the embedded mode.
    pub workload: Option<Workload>,
}

/// What runs in the cluster for a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Image of the server.
    pub image: String,
    /// Port that the pod listens on.
    pub port: u16,
    /// Arguments of the server.
    pub args: Vec<String>,
    /// What is started.
    pub program: WorkloadProgram,
    /// How many pods.
    pub replicas: u32,
    /// Requests and limits of the server's container.
    pub resources: Resources,
}

/// What the pod of a server starts.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkloadProgram {
    /// The image's own program, which speaks HTTP.
    Http {
        /// Its environment.
        env: BTreeMap<String, String>,
    },
    /// The bridge, which starts the command once for each MCP session.
    Bridge {
        /// Image that the bridge is copied from.
        gateway_image: String,
        /// Keys with which the bridge checks the gateway's tokens.
        jwks: String,
        /// Audience that those tokens must have: this server, whichever keys several bridges share.
        audience: String,
        /// The command.
        command: Vec<String>,
        /// Its environment.
        env: BTreeMap<String, ProcessValue>,
    },
}

/// The server as it is served, or why it cannot be.
pub fn validate(server: &McpServer, surroundings: &Surroundings<'_>) -> Member<ValidatedServer> {
    let spec = &server.spec;
    if spec.disabled {
        return Member::Withdrawn(disabled());
    }
    let mut problems = supported::check(spec, surroundings.settings.placement);
    check_prefix(server, surroundings.siblings, &mut problems);
    check_globs(spec, &mut problems);
    let timeout = check_timeout(spec, &mut problems);
    let placed = match place(server, surroundings) {
        Ok(placed) => Some(placed),
        Err(Refusal::Invalid(problem)) => {
            problems.push(problem);
            None
        }
        Err(Refusal::Secret(problem)) => return Member::Withdrawn(problem),
    };
    let Some(placed) = placed.filter(|_| problems.is_empty()) else {
        return Member::Invalid(problems);
    };
    let credentials = match resolve_credentials(spec, surroundings, &placed.host) {
        Ok(credentials) => credentials,
        Err(problem) => return Member::Withdrawn(problem),
    };
    let name = name_of(server).to_owned();
    Member::Valid(ValidatedServer {
        uid: server.metadata.uid.clone(),
        config: document::ServerConfig {
            name: name.clone(),
            target: placed.target,
            credentials,
            credential_scope: document::CredentialScope::Organization,
            tools: document::ToolsConfig {
                prefix: spec.tools.prefix.clone(),
                allow: spec.tools.allow.clone(),
                deny: spec.tools.deny.clone(),
            },
            limits: document::ServerLimits {
                request_bytes: spec.limits.request_bytes,
                result_bytes: spec.limits.result_bytes,
            },
            timeout_seconds: timeout,
        },
        name,
        workload: placed.workload,
    })
}

/// What a disabled server is told.
pub fn disabled() -> Problem {
    let message = "the server is withdrawn while this is true";
    Problem::new(reasons::DISABLED, "spec.disabled", message)
}

/// Why a server cannot be placed.
enum Refusal {
    /// The spec must change; the server keeps what it had.
    Invalid(Problem),
    /// A Secret must change; the server is withdrawn at once.
    Secret(Problem),
}

/// Where a server is, what must run for it, and the host its credentials go to.
struct Placed {
    target: ServerTarget,
    workload: Option<Workload>,
    host: String,
}

fn place(server: &McpServer, surroundings: &Surroundings<'_>) -> Result<Placed, Refusal> {
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
            transport: match remote.transport {
                RemoteTransport::StreamableHttp => document::RemoteTransport::StreamableHttp,
                RemoteTransport::Sse => document::RemoteTransport::Sse,
            },
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
        replicas: server.spec.replicas,
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
        replicas: server.spec.replicas,
        resources: server.spec.resources.clone().unwrap_or_default(),
    };
    Ok(in_cluster(server, surroundings, workload, BRIDGE_PATH))
}

fn in_cluster(
    server: &McpServer,
    surroundings: &Surroundings<'_>,
    workload: Workload,
    path: &str,
) -> Placed {
    let namespace = &surroundings.organization.namespace;
    let service = name_of(server);
    Placed {
        host: format!("{service}.{namespace}.svc"),
        target: ServerTarget::InCluster {
            namespace: namespace.clone(),
            service: service.to_owned(),
            port: workload.port,
            path: path.to_owned(),
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

fn resolve_credentials(
    spec: &McpServerSpec,
    surroundings: &Surroundings<'_>,
    host: &str,
) -> Result<Vec<CredentialHeader>, Problem> {
    let Some(auth) = &spec.auth else {
        return Ok(Vec::new());
    };
    let resolve = |reference, field: &str| {
        credentials::resolve(
            surroundings.secrets,
            &surroundings.organization.namespace,
            reference,
            &Destination::Host(host),
            field,
        )
    };
    let mut headers = Vec::new();
    if let Some(bearer) = &auth.bearer {
        headers.push(CredentialHeader {
            header: "authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
            secret: resolve(&bearer.secret_ref, "spec.auth.bearer.secretRef")?,
        });
    }
    for (index, header) in auth.headers.iter().enumerate() {
        headers.push(CredentialHeader {
            header: header.name.to_ascii_lowercase(),
            prefix: String::new(),
            secret: resolve(
                &header.secret_ref,
                &format!("spec.auth.headers[{index}].secretRef"),
            )?,
        });
    }
    Ok(headers)
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

fn check_prefix(server: &McpServer, siblings: &[&McpServer], problems: &mut Vec<Problem>) {
    let prefix = tool_prefix(server);
    let holder = siblings.iter().find(|sibling| {
        !sibling.spec.disabled && tool_prefix(sibling) == prefix && is_earlier(**sibling, server)
    });
    if let Some(holder) = holder {
        problems.push(Problem::invalid(
            "spec.tools.prefix",
            format!(
                "`{prefix}` is already the prefix of the server {}: choose another",
                name_of(holder)
            ),
        ));
    }
}

fn check_globs(spec: &McpServerSpec, problems: &mut Vec<Problem>) {
    for (list, globs) in [("allow", &spec.tools.allow), ("deny", &spec.tools.deny)] {
        for (index, glob) in globs.iter().enumerate() {
            if let Err(error) = Glob::new(glob) {
                let field = format!("spec.tools.{list}[{index}]");
                problems.push(Problem::invalid(field, error.to_string()));
            }
        }
    }
}

/// The timeout in seconds. Durations below a second are refused by the schema's range.
fn check_timeout(spec: &McpServerSpec, problems: &mut Vec<Problem>) -> u64 {
    match duration::parse(&spec.resilience.timeout) {
        Ok(timeout) if (1..=600).contains(&timeout.as_secs()) => timeout.as_secs(),
        Ok(_) => {
            problems.push(Problem::invalid(
                "spec.resilience.timeout",
                "must be from 1s to 10m",
            ));
            0
        }
        Err(error) => {
            problems.push(Problem::invalid(
                "spec.resilience.timeout",
                error.to_string(),
            ));
            0
        }
    }
}

fn tool_prefix(server: &McpServer) -> &str {
    server
        .spec
        .tools
        .prefix
        .as_deref()
        .unwrap_or_else(|| name_of(server))
}

fn name_of(server: &McpServer) -> &str {
    server.metadata.name.as_deref().unwrap_or_default()
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
