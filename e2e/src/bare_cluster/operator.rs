//! The operator as a process, under its own service account.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kube::Config;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::process::{Child, Command};

use super::{BareCluster, Credential, PLATFORM};
use crate::program::built;

/// Numbers the operators of this test program, for the names of their files.
static STARTED: AtomicU32 = AtomicU32::new(0);
/// Pause before an operator that ended is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// A key of nobody, for bridges that never run: there is no kubelet here.
const BRIDGE_JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"test","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// A running operator, killed when dropped.
pub struct Operator {
    command: Command,
    child: Child,
    /// The `jti` of its token, by which the audit log knows it.
    pub credential: String,
    /// Where its log is.
    pub log: PathBuf,
}

impl Operator {
    /// Starts an operator that reaches the API server at `server`.
    pub(super) async fn start(
        cluster: &BareCluster,
        server: &str,
        credential: Credential,
    ) -> Result<Self> {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let log = cluster.logs().join(format!("operator-{number}.log"));
        let kubeconfig = cluster.logs().join(format!("operator-{number}.kubeconfig"));
        let document = kubeconfig_document(&cluster.config, server, &credential.token)?;
        fs::write(&kubeconfig, document.to_string())?;
        let output = File::create(&log)?;
        let executable = built("agentapi-operator")?;
        let mut command = Command::new(&executable);
        command
            .env("KUBECONFIG", &kubeconfig)
            .env("AGENTAPI_ADMIN_LISTEN", "127.0.0.1:0")
            .env("AGENTAPI_PLATFORM_NAMESPACE", PLATFORM)
            .env(
                "AGENTAPI_GATEWAY_IMAGE",
                "registry.example.com/agentapi:test",
            )
            .env("AGENTAPI_BRIDGE_JWKS", BRIDGE_JWKS)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .with_context(|| format!("{} could not be started", executable.display()))?;
        Ok(Self {
            command,
            child,
            credential: credential.id,
            log,
        })
    }

    /// SIGKILL, and waits until the process is gone.
    pub async fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .await
            .context("the operator cannot be killed")
    }

    /// SIGSTOP: the process stands still without knowing.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT: the process goes on where it stood.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.id()?).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no process id")?, signal)?;
        Ok(())
    }

    /// The process id.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("the operator has ended")
    }
}

/// An operator that is started again whenever it ends, as a kubelet does.
pub struct KeptOperator {
    restarts: Arc<AtomicU32>,
    task: tokio::task::JoinHandle<()>,
}

impl KeptOperator {
    /// Starts an operator that reaches the API server at `server`, and keeps it running.
    pub async fn start(cluster: &BareCluster, server: &str) -> Result<Self> {
        let mut operator = cluster.operator(server).await?;
        let restarts = Arc::new(AtomicU32::new(0));
        let counted = restarts.clone();
        let task = tokio::spawn(async move {
            loop {
                if operator.child.wait().await.is_err() {
                    return;
                }
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(RESTART_PAUSE).await;
                match operator.command.spawn() {
                    Ok(child) => operator.child = child,
                    Err(_) => return,
                }
            }
        });
        Ok(Self { restarts, task })
    }

    /// How often it had to be started again.
    pub fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }
}

impl Drop for KeptOperator {
    fn drop(&mut self) {
        // Drops the operator with it, which kills the process.
        self.task.abort();
    }
}

/// A kubeconfig that names `server`, so that a proxy can stand before the API server.
fn kubeconfig_document(config: &Config, server: &str, token: &str) -> Result<serde_json::Value> {
    let mut cluster = json!({"server": server});
    if server.starts_with("https:") {
        let authorities = config.root_cert.iter().flatten();
        let bundle: String = authorities
            .map(|der| {
                let text = BASE64_STANDARD.encode(der);
                format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
            })
            .collect();
        cluster["certificate-authority-data"] = json!(BASE64_STANDARD.encode(bundle));
    }
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "operator"}}],
        "current-context": "test",
    }))
}
