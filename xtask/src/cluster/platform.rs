//! The platform on a running control plane: custom resources, chart, schema,
//! operator and gateway.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::kubeconfig::{self, Credential};
use super::kubectl::Kubectl;
use super::{Postgres, Redis, control_plane};
use crate::command::Run;
use crate::go_tools::HELM;
use crate::process::{Daemon, StopSignal};
use crate::state::State;
use crate::workspace::Workspace;
use crate::{go_tools, http, progress};

const NAMESPACE: &str = "agentapi-system";
const OPERATOR: &str = "agentapi-operator";
const GATEWAY: &str = "agentapi-gateway";
/// The image that servers' pods get the bridge from: the samples' own. Nothing
/// pulls it here, where no node is.
const GATEWAY_IMAGE: &str = "agentapi:dev";
/// The chart's values for programs that run outside of the cluster.
const HOST_PROCESSES: &str =
    "namespaces.createPlatform=true,operator.enabled=false,gateway.enabled=false";
/// How long the programs' own credentials last; each `cluster run` makes new
/// ones.
const TOKEN_LIFETIME: &str = "720h";

/// Where the running platform answers.
#[derive(Debug)]
pub(crate) struct Endpoints {
    pub(crate) gateway: String,
    pub(crate) gateway_admin: String,
    pub(crate) operator_admin: String,
}

/// Everything that `cargo xtask cluster run` starts.
#[derive(Debug)]
pub(crate) struct Platform {
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    pub(crate) endpoints: Endpoints,
    /// Where the gateway looks up Services, since no cluster network reaches it.
    pub(crate) hosts: PathBuf,
}

impl Platform {
    /// Brings the whole platform up from the programs in `programs`. Operator
    /// and gateway are started anew, so that they are the ones just built.
    ///
    /// # Errors
    /// The first step that fails.
    pub(crate) fn up(workspace: &Workspace, state: &mut State, programs: &Path) -> Result<Self> {
        let kubectl = prepare(workspace, state)?;
        let postgres = Postgres::up(workspace, state)?;
        let redis = Redis::up(state)?;
        progress::step("database schema", || migrate(programs, &postgres))?;
        state.stop(|recorded| [OPERATOR, GATEWAY].contains(&recorded.name.as_str()))?;
        let bridge_key = state.signing_key("bridge-signing-key")?;
        let key_set = bridge_key_set(programs, &bridge_key)?;
        let operator_admin = start_operator(state, &kubectl, programs, key_set)?;
        let hosts = hosts_file(state)?;
        let (gateway, gateway_admin) = start_gateway(
            state,
            &kubectl,
            programs,
            &postgres,
            &redis,
            &bridge_key,
            &hosts,
        )?;
        Ok(Self {
            hosts,
            postgres,
            redis,
            endpoints: Endpoints {
                gateway,
                gateway_admin,
                operator_admin,
            },
        })
    }
}

/// Starts a control plane and gives it the platform's definitions, rights and
/// admission rules. Nothing of the platform runs on it.
///
/// # Errors
/// The first step that fails.
pub(crate) fn prepare(workspace: &Workspace, state: &mut State) -> Result<Kubectl> {
    control_plane::up(workspace, state)?;
    HELM.ensure(workspace)?;
    let kubectl = Kubectl::new(workspace, &state.path("kubeconfig"));
    progress::step("custom resources", || {
        apply_custom_resources(workspace, &kubectl)
    })?;
    progress::step("chart", || apply_chart(workspace, &kubectl))?;
    Ok(kubectl)
}

fn apply_custom_resources(workspace: &Workspace, kubectl: &Kubectl) -> Result<()> {
    let folder = workspace.path("charts/agentapi-crds/templates");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect()
        })
        .with_context(|| {
            format!(
                "cannot list {}; run `cargo xtask generate`",
                folder.display()
            )
        })?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort();
    let manifests = files
        .iter()
        .map(|file| {
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
        })
        .collect::<Result<Vec<_>>>()?
        .join("\n---\n");
    kubectl.apply(manifests.clone())?;
    kubectl.wait_established(manifests)
}

/// Applies all of the chart but the two Deployments: the programs run on this
/// machine instead.
fn apply_chart(workspace: &Workspace, kubectl: &Kubectl) -> Result<()> {
    let manifests = Run::new(HELM.path(workspace))
        .args(["template", "agentapi"])
        .arg(workspace.path("charts/agentapi"))
        .args(["--namespace", NAMESPACE])
        .args([
            "--kube-version",
            &go_tools::control_plane_version(workspace)?,
        ])
        .args(["--set", HOST_PROCESSES])
        .output()?;
    kubectl.apply(manifests)
}

fn migrate(programs: &Path, postgres: &Postgres) -> Result<()> {
    Run::new(programs.join("agentapi"))
        .arg("migrate")
        .env("AGENTAPI_MIGRATION_URL", &postgres.owner_url)
        .quiet()
}

/// The public half of the bridges' key: all that the operator is given of it.
fn bridge_key_set(programs: &Path, key: &str) -> Result<String> {
    let printed = Run::new(programs.join(GATEWAY))
        .args(["bridge", "--key-set"])
        .env("AGENTAPI_BRIDGE_SIGNING_KEY", key)
        .output()?;
    Ok(printed.trim().to_owned())
}

/// The file in which a person, or a test, says where a server's program runs.
fn hosts_file(state: &State) -> Result<PathBuf> {
    let path = state.path("hosts");
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn start_operator(
    state: &mut State,
    kubectl: &Kubectl,
    programs: &Path,
    bridge_key_set: String,
) -> Result<String> {
    let admin = state.port_to_listen_on("operator-admin")?;
    let gateway_admin = state.port_to_listen_on("gateway-admin")?;
    let environment = vec![
        (
            "KUBECONFIG",
            service_account_kubeconfig(state, kubectl, OPERATOR)?,
        ),
        // No Service leads to a program outside of the cluster.
        (
            "AGENTAPI_GATEWAY_ADDRESSES",
            format!("127.0.0.1:{gateway_admin}"),
        ),
        (
            "AGENTAPI_GATEWAY_TOKEN_FILE",
            gateway_token_file(state, kubectl)?,
        ),
        ("AGENTAPI_ADMIN_LISTEN", format!("127.0.0.1:{admin}")),
        ("AGENTAPI_PLATFORM_NAMESPACE", NAMESPACE.to_owned()),
        ("AGENTAPI_GATEWAY_IMAGE", GATEWAY_IMAGE.to_owned()),
        ("AGENTAPI_BRIDGE_JWKS", bridge_key_set),
    ];
    let daemon = host_process(state, OPERATOR, programs, Vec::new(), environment);
    state.start(&daemon, || http::status(admin, "/ready") == Some(200))?;
    Ok(format!("http://127.0.0.1:{admin}"))
}

fn start_gateway(
    state: &mut State,
    kubectl: &Kubectl,
    programs: &Path,
    postgres: &Postgres,
    redis: &Redis,
    bridge_key: &str,
    hosts: &Path,
) -> Result<(String, String)> {
    let port = state.port_to_listen_on("gateway")?;
    let admin = state.port_to_listen_on("gateway-admin")?;
    let url = format!("http://127.0.0.1:{port}");
    let environment = vec![
        (
            "KUBECONFIG",
            service_account_kubeconfig(state, kubectl, GATEWAY)?,
        ),
        ("AGENTAPI_LISTEN", format!("127.0.0.1:{port}")),
        ("AGENTAPI_ADMIN_LISTEN", format!("127.0.0.1:{admin}")),
        ("AGENTAPI_PUBLIC_URL", url.clone()),
        ("AGENTAPI_DATABASE_URL", postgres.gateway_url.clone()),
        ("AGENTAPI_REDIS_URL", redis.url.clone()),
        (
            "AGENTAPI_ENCRYPTION_KEYS",
            format!("local:{}", state.key("encryption")?),
        ),
        (
            "AGENTAPI_AUDIT_SIGNING_KEY",
            state.signing_key("audit-signing-key")?,
        ),
        ("AGENTAPI_PLATFORM_NAMESPACE", NAMESPACE.to_owned()),
        ("AGENTAPI_BRIDGE_SIGNING_KEY", bridge_key.to_owned()),
        ("AGENTAPI_HOSTS_FILE", hosts.display().to_string()),
        // The servers that a developer tries are on this machine. This is the
        // platform's own permission, which no organization can give itself.
        ("AGENTAPI_OUTBOUND_ALLOW", "127.0.0.0/8".to_owned()),
    ];
    let daemon = host_process(
        state,
        GATEWAY,
        programs,
        vec!["serve".to_owned()],
        environment,
    );
    state.start(&daemon, || http::status(admin, "/ready") == Some(200))?;
    Ok((url, format!("http://127.0.0.1:{admin}")))
}

/// A file with the operator's token for the gateway's internal API, which
/// kubelet would project into its pod.
fn gateway_token_file(state: &State, kubectl: &Kubectl) -> Result<String> {
    let token = kubectl.token(
        NAMESPACE,
        OPERATOR,
        Some("agentapi-internal"),
        TOKEN_LIFETIME,
    )?;
    let path = state.path("agentapi-operator.gateway-token");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(token.as_bytes())
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path.display().to_string())
}

fn host_process(
    state: &State,
    name: &'static str,
    programs: &Path,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
) -> Daemon {
    Daemon {
        name,
        program: programs.join(name),
        arguments,
        environment,
        directory: state.path(""),
        user: None,
        stop: StopSignal::Terminate,
    }
}

/// A kubeconfig that holds what the chart grants to `account`, and nothing
/// more.
///
/// # Errors
/// When no token is granted or the file cannot be written.
pub(crate) fn service_account_kubeconfig(
    state: &mut State,
    kubectl: &Kubectl,
    account: &str,
) -> Result<String> {
    let token = kubectl.token(NAMESPACE, account, None, TOKEN_LIFETIME)?;
    let path = state.path(&format!("{account}.kubeconfig"));
    let port = state.port("kube-apiserver")?;
    kubeconfig::write(
        &path,
        port,
        &state.path("pki/ca.crt"),
        account,
        &Credential::Token(token),
    )?;
    Ok(path.display().to_string())
}
