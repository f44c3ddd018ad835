//! The platform's programs as child processes, ended when dropped.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Longest wait for a program to say that it is ready. Generous: a test machine may be busy.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running program.
pub struct Program {
    /// What it printed after `ready `.
    pub address: String,
    child: Child,
}

impl Program {
    /// Starts a program and waits for its line `ready ADDRESS` on standard output.
    pub async fn start(
        executable: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let mut program = Self::spawn(executable, arguments, environment)?;
        let output = program
            .child
            .stdout
            .take()
            .context("the program has no standard output")?;
        let mut lines = BufReader::new(output).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = line.strip_prefix("ready ") {
                    return Ok(address.trim().to_owned());
                }
            }
            bail!(
                "{} ended before it was ready: its standard error says why",
                executable.display()
            )
        };
        program.address = tokio::time::timeout(START_LIMIT, ready)
            .await
            .with_context(|| {
                format!(
                    "{} was not ready within {START_LIMIT:?}",
                    executable.display()
                )
            })??;
        // Whatever else is printed must be read, or the program would block on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(program)
    }

    /// Starts a program that does not say when it is ready; its `address` is empty.
    pub fn spawn(
        executable: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let child = Command::new(executable)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} could not be started", executable.display()))?;
        Ok(Self {
            address: String::new(),
            child,
        })
    }

    /// Kills it (SIGKILL), and returns when it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// The process id.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }
}

/// A variable that `cargo xtask test` sets, or an error that says so.
pub fn setting(name: &str) -> Result<String> {
    std::env::var(name)
        .with_context(|| format!("{name} is not set: run this test by `cargo xtask test`"))
}

/// One of the platform's programs as `cargo xtask test` built it.
pub fn built(program: &str) -> Result<PathBuf> {
    Ok(PathBuf::from(setting("AGENTAPI_TEST_BIN_DIR")?).join(program))
}
