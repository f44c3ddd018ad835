//! The operator as a child process.

use std::fs::OpenOptions;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::arguments::OperatorOptions;

/// Longest wait for something that the operator does by itself.
const LIMIT: Duration = Duration::from_secs(300);
const INTERVAL: Duration = Duration::from_millis(250);
/// Time without a reconciliation after which nothing more is expected.
const QUIET: Duration = Duration::from_secs(5);

/// A running operator; killed when dropped.
pub(super) struct Operator {
    child: Child,
    port: u16,
}

impl Operator {
    /// Starts the operator and waits until it leads.
    pub(super) async fn start(options: &OperatorOptions) -> Result<Self> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&options.log)
            .with_context(|| format!("cannot open {}", options.log.display()))?;
        let child = Command::new(&options.operator)
            .env("KUBECONFIG", &options.cluster.operator_kubeconfig)
            .env(
                "AGENTAPI_ADMIN_LISTEN",
                format!("127.0.0.1:{}", options.admin_port),
            )
            .env("AGENTAPI_PLATFORM_NAMESPACE", "agentapi-system")
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", options.operator.display()))?;
        let operator = Self {
            child,
            port: options.admin_port,
        };
        let started = Instant::now();
        while operator.metric("agentapi_operator_leading").await.ok() != Some(1.0) {
            if started.elapsed() > LIMIT {
                bail!("the operator does not lead: see {}", options.log.display());
            }
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(operator)
    }

    /// The process id.
    pub(super) fn id(&self) -> Result<u32> {
        self.child.id().context("the operator ended")
    }

    /// Waits until all reconciliations are over: at least `least` since the start, and none for a while.
    pub(super) async fn quiet(&self, least: usize) -> Result<()> {
        let started = Instant::now();
        let (mut before, mut since) = (f64::NAN, Instant::now());
        loop {
            let now = self
                .metric("agentapi_operator_reconciles_total")
                .await
                .unwrap_or_default();
            if now != before {
                (before, since) = (now, Instant::now());
            }
            if now >= least as f64 && since.elapsed() > QUIET {
                return Ok(());
            }
            if started.elapsed() > LIMIT {
                bail!("after {LIMIT:?} the operator has reconciled {now} times, {least} expected");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Asks the operator to end, and waits for it.
    pub(super) async fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.id()?).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no process id")?, Signal::TERM)?;
        self.child.wait().await?;
        Ok(())
    }

    /// Sum of a metric over its labels.
    pub(super) async fn metric(&self, name: &str) -> Result<f64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            .await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text
            .lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }
}
