//! etcd, kube-apiserver and kube-controller-manager as processes on loopback.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::kubeconfig::{self, Credential};
use super::kubectl::Kubectl;
use crate::command::Run;
use crate::go_tools::{APISERVER, CERTIFICATES, CONTROL_PLANE, CONTROLLER_MANAGER, ETCD, GoTool};
use crate::process::{Daemon, StopSignal};
use crate::state::State;
use crate::workspace::Workspace;
use crate::{go_tools, http, progress, wait};

const SERVICE_RANGE: &str = "10.96.0.0/16";
/// What the API server itself is called in a token's `iss` and `aud`. Tokens
/// for the audience `agentapi` are requested by name and are not accepted by
/// the API server, so the gateway could not use one as its bearer.
const ISSUER: &str = "https://kubernetes.default.svc";

/// The administrator's kubeconfig of the cluster in `directory`.
pub(crate) fn kubeconfig_path(directory: &Path) -> PathBuf {
    directory.join("kubeconfig")
}

/// Starts whatever of the control plane is not running, and waits until it
/// serves.
///
/// # Errors
/// When a program cannot be built, started, or does not become ready.
pub(crate) fn up(workspace: &Workspace, state: &mut State) -> Result<()> {
    go_tools::ensure(workspace, &CONTROL_PLANE)?;
    certificates(workspace, state)?;
    etcd(workspace, state)?;
    apiserver(workspace, state)?;
    controller_manager(workspace, state)
}

fn certificates(workspace: &Workspace, state: &State) -> Result<()> {
    // Written last, so its presence means that the others are there.
    if state.path("pki/service-account.key").exists() {
        return Ok(());
    }
    progress::step("certificates", || {
        Run::new(CERTIFICATES.path(workspace))
            .arg(state.path("pki"))
            .quiet()
    })
}

fn etcd(workspace: &Workspace, state: &mut State) -> Result<()> {
    if state.runs("etcd")? {
        return Ok(());
    }
    let client_port = state.port_to_listen_on("etcd")?;
    let client = format!("http://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{}", state.port_to_listen_on("etcd-peer")?);
    let arguments = vec![
        format!("--data-dir={}", state.path("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        // Survives the death of the process, not of the machine.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    let daemon = go_daemon("etcd", &ETCD, workspace, state, arguments);
    state.start(&daemon, || {
        http::status(client_port, "/readyz") == Some(200)
    })
}

fn apiserver(workspace: &Workspace, state: &mut State) -> Result<()> {
    if state.runs("kube-apiserver")? {
        return Ok(());
    }
    let etcd = state.port("etcd")?;
    let port = state.port_to_listen_on("kube-apiserver")?;
    let pki = |file: &str| state.path("pki").join(file).display().to_string();
    let arguments = vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        // A loopback address cannot be an endpoint of the Service `kubernetes`.
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--tls-cert-file={}", pki("server.crt")),
        format!("--tls-private-key-file={}", pki("server.key")),
        format!("--client-ca-file={}", pki("ca.crt")),
        format!("--service-account-issuer={ISSUER}"),
        format!("--service-account-key-file={}", pki("service-account.key")),
        format!(
            "--service-account-signing-key-file={}",
            pki("service-account.key")
        ),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--feature-gates=WatchList=true".to_owned(),
        format!(
            "--audit-policy-file={}",
            workspace
                .path("kind/controlplane/audit-policy.yaml")
                .display()
        ),
        format!(
            "--audit-log-path={}",
            state.path("logs/audit.log").display()
        ),
        "--audit-log-maxsize=200".to_owned(),
        "--audit-log-maxbackup=2".to_owned(),
    ];
    write_kubeconfigs(state, port)?;
    let daemon = go_daemon("kube-apiserver", &APISERVER, workspace, state, arguments);
    let kubectl = Kubectl::new(workspace, &state.path("kubeconfig"));
    state.start(&daemon, || http::accepts(port) && kubectl.is_ready())
}

fn write_kubeconfigs(state: &State, port: u16) -> Result<()> {
    for (file, user) in [
        ("kubeconfig", "admin"),
        ("controller-manager.kubeconfig", "controller-manager"),
    ] {
        let credential = Credential::Certificate {
            certificate: state.path(&format!("pki/{user}.crt")),
            key: state.path(&format!("pki/{user}.key")),
        };
        kubeconfig::write(
            &state.path(file),
            port,
            &state.path("pki/ca.crt"),
            user,
            &credential,
        )?;
    }
    Ok(())
}

fn controller_manager(workspace: &Workspace, state: &mut State) -> Result<()> {
    if state.runs("kube-controller-manager")? {
        return Ok(());
    }
    let port = state.port_to_listen_on("kube-controller-manager")?;
    let pki = |file: &str| state.path("pki").join(file).display().to_string();
    let arguments = vec![
        format!(
            "--kubeconfig={}",
            state.path("controller-manager.kubeconfig").display()
        ),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
        format!(
            "--service-account-private-key-file={}",
            pki("service-account.key")
        ),
        format!("--root-ca-file={}", pki("ca.crt")),
        format!("--cluster-signing-cert-file={}", pki("ca.crt")),
        format!("--cluster-signing-key-file={}", pki("ca.key")),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
    ];
    let daemon = go_daemon(
        "kube-controller-manager",
        &CONTROLLER_MANAGER,
        workspace,
        state,
        arguments,
    );
    state.start(&daemon, || http::accepts(port))?;
    let kubectl = Kubectl::new(workspace, &state.path("kubeconfig"));
    wait::until(
        "the namespace `default` getting its service account",
        Duration::from_secs(60),
        || {
            Ok(kubectl
                .exists("serviceaccount", "default", "default")
                .then_some(()))
        },
    )
}

fn go_daemon(
    name: &'static str,
    tool: &GoTool,
    workspace: &Workspace,
    state: &State,
    arguments: Vec<String>,
) -> Daemon {
    Daemon {
        name,
        program: tool.path(workspace),
        arguments,
        environment: Vec::new(),
        directory: state.path(""),
        user: None,
        stop: StopSignal::Terminate,
    }
}
