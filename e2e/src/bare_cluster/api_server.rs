//! A second API server on the same etcd, which a test may kill.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use kube::{Client, Config};
use tokio::process::{Child, Command};

use super::BareCluster;
use crate::eventually::eventually;
use crate::program::setting;

/// A running API server, killed when dropped.
pub struct ApiServer {
    /// How to reach it, without any credential.
    pub config: Config,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    child: Child,
}

impl ApiServer {
    /// Starts one beside the cluster's own, with the same settings.
    pub async fn beside(cluster: &BareCluster) -> Result<Self> {
        let pid = setting("AGENTAPI_TEST_BARE_APISERVER_PID")?;
        let process = PathBuf::from(format!("/proc/{pid}"));
        let program = fs::read_link(process.join("exe")).context("the API server has ended")?;
        let line = fs::read_to_string(process.join("cmdline"))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = cluster.logs().join(format!("kube-apiserver-{port}.log"));
        let audit_log = log.with_extension("audit.log");
        let arguments = line
            .split_terminator('\0')
            .skip(1)
            .map(|argument| match argument.split_once('=') {
                Some(("--secure-port", _)) => format!("--secure-port={port}"),
                Some(("--audit-log-path", _)) => {
                    format!("--audit-log-path={}", audit_log.display())
                }
                _ => argument.to_owned(),
            })
            .collect::<Vec<_>>();
        let mut config = cluster.config.clone();
        config.cluster_url = format!("https://127.0.0.1:{port}").parse()?;
        let child = spawn(&program, &arguments, &log)?;
        let server = Self {
            config,
            program,
            arguments,
            log,
            child,
        };
        server.wait().await?;
        Ok(server)
    }

    /// SIGKILL: nobody listens any more.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Starts it again on the same port.
    pub async fn restart(&mut self) -> Result<()> {
        self.child = spawn(&self.program, &self.arguments, &self.log)?;
        self.wait().await
    }

    async fn wait(&self) -> Result<()> {
        let client = Client::try_from(self.config.clone())?;
        eventually("the second API server is ready", async || {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            let said = client.request_text(request).await?;
            ensure!(said == "ok", "it says {said}");
            Ok(())
        })
        .await
    }
}

fn spawn(program: &PathBuf, arguments: &[String], log: &PathBuf) -> Result<Child> {
    let output = File::options().create(true).append(true).open(log)?;
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .kill_on_drop(true)
        .spawn()
        .context("the second API server could not be started")
}
