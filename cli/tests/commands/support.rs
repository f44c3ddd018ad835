//! Running `agentapi` in tests: its own state folder, its output as it comes.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// Longest wait for something that a test waits for. Generous: a test machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A user of the command line, with a home of their own.
pub(crate) struct Person {
    home: TempDir,
}

impl Person {
    /// Somebody who has never run `agentapi`.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            home: TempDir::new()?,
        })
    }

    /// A file of the state folder.
    pub(crate) fn state(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agentapi"));
        command
            .args(arguments)
            .env("XDG_STATE_HOME", self.home.path())
            .env_remove("RUST_LOG")
            .env_remove("AGENTAPI_ENCRYPTION_KEYS")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Output> {
        let ended = self.command(arguments).output();
        let output = tokio::time::timeout(PATIENCE, ended).await;
        output
            .with_context(|| format!("agentapi {arguments:?} did not end"))?
            .context("agentapi cannot be started")
    }

    /// A bearer token for the embedded mode.
    pub(crate) async fn token(&self, organization: &str, user: &str) -> Result<String> {
        let output = self
            .run(&[
                "token",
                "--org",
                organization,
                "--user",
                user,
                "--role",
                "admin",
            ])
            .await?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Starts the embedded mode on a free port and waits until it serves.
    pub(crate) async fn dev(&self, manifests: &Path, more: &[&str]) -> Result<Dev> {
        let folder = manifests.to_str().context("the folder is not UTF-8")?;
        let mut arguments = vec!["dev", "--manifests", folder, "--listen", "127.0.0.1:0"];
        arguments.extend(more);
        let mut process = self.command(&arguments).spawn()?;
        let stdout = process
            .stdout
            .take()
            .context("standard output is not piped")?;
        let stderr = process
            .stderr
            .take()
            .context("standard error is not piped")?;
        let mut dev = Dev {
            address: String::new(),
            process,
            stdout: BufReader::new(stdout).lines(),
            stderr: BufReader::new(stderr).lines(),
        };
        let first = wait_for(&mut dev.stdout, "ready ").await;
        dev.address = match first {
            Ok(line) => line.trim_start_matches("ready ").to_owned(),
            Err(error) => bail!("{error}: {}", rest(&mut dev.stderr).await),
        };
        Ok(dev)
    }
}

/// A running embedded mode, ended when dropped.
pub(crate) struct Dev {
    /// `http://ADDRESS` as it was printed.
    pub(crate) address: String,
    process: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Dev {
    /// Waits for a line on standard error that begins like this.
    pub(crate) async fn says(&mut self, beginning: &str) -> Result<String> {
        wait_for(&mut self.stderr, beginning).await
    }

    /// Asks it to end (SIGTERM), and returns what it still printed on standard output.
    pub(crate) async fn stop(mut self) -> Result<String> {
        let id = self.process.id().context("it has ended already")?;
        let kill = Command::new("kill")
            .args(["-TERM", &id.to_string()])
            .status()
            .await?;
        anyhow::ensure!(kill.success(), "SIGTERM could not be sent");
        let status = tokio::time::timeout(PATIENCE, self.process.wait()).await??;
        anyhow::ensure!(status.success(), "it ended with {status}");
        Ok(rest(&mut self.stdout).await)
    }
}

async fn wait_for(lines: &mut Lines<impl AsyncBufRead + Unpin>, beginning: &str) -> Result<String> {
    let found = async {
        while let Some(line) = lines.next_line().await? {
            if line.starts_with(beginning) {
                return Ok(line);
            }
        }
        bail!("it ended without a line `{beginning}…`")
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.with_context(|| format!("no line `{beginning}…` within {PATIENCE:?}"))?
}

async fn rest(lines: &mut Lines<impl AsyncBufRead + Unpin>) -> String {
    let mut text = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The sample manifests.
pub(crate) fn samples() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/samples"))
}

/// A folder with one organization, acme, and what else is given.
pub(crate) fn folder(more: &[(&str, &str)]) -> Result<TempDir> {
    let folder = TempDir::new()?;
    let organization =
        "apiVersion: agentapi.dev/v1alpha1\nkind: Organization\nmetadata: {name: acme}\nspec: {}\n";
    std::fs::write(folder.path().join("acme.yaml"), organization)?;
    for (name, content) in more {
        std::fs::write(folder.path().join(name), content)?;
    }
    Ok(folder)
}
