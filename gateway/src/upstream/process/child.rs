//! The operating system's side of a child: its environment, its group, its end.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

use super::confine;

/// Start of the names of sessions' directories.
pub(super) const DIRECTORY_PREFIX: &str = "agentapi-mcp-";
/// Pause between looks at what a killed group has left.
const REAP: Duration = Duration::from_millis(20);

/// A program to run.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Name of the server, for the log.
    pub name: String,
    /// Program and its first arguments.
    pub command: Vec<String>,
    /// Further arguments.
    pub args: Vec<String>,
    /// Directory it starts in; its session's own where there is none.
    pub directory: Option<PathBuf>,
    /// Declared environment variables.
    pub env: BTreeMap<String, SecretString>,
}

pub(super) struct Streams {
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
    pub(super) errors: ChildStderr,
}

/// Starts the program; `ended` ends it, and is cancelled when it ends by itself.
pub(super) fn start(launch: &Launch, ended: CancellationToken) -> Result<Streams, Error> {
    let directory = tempfile::Builder::new()
        .prefix(DIRECTORY_PREFIX)
        .tempdir()?;
    let (mut child, confinement) = confine::spawn(command(launch, &directory)?, directory.path())?;
    confinement.tell_once();
    let missing = || Error::other("a standard stream is missing");
    let streams = Streams {
        input: child.stdin.take().ok_or_else(missing)?,
        output: child.stdout.take().ok_or_else(missing)?,
        errors: child.stderr.take().ok_or_else(missing)?,
    };
    tokio::spawn(supervise(launch.name.clone(), child, directory, ended));
    Ok(streams)
}

fn command(launch: &Launch, directory: &TempDir) -> Result<Command, Error> {
    let (program, first) = launch
        .command
        .split_first()
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the command is empty"))?;
    let mut command = Command::new(program);
    command
        .args(first)
        .args(&launch.args)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", directory.path())
        .env("TMPDIR", directory.path())
        .envs(
            launch
                .env
                .iter()
                .map(|(name, value)| (name, value.expose_secret())),
        )
        .current_dir(launch.directory.as_deref().unwrap_or(directory.path()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

/// Waits for the end of the child, and ends what it started.
async fn supervise(name: String, mut child: Child, directory: TempDir, ended: CancellationToken) {
    let group = Group::of(&child);
    tokio::select! {
        status = child.wait() => tracing::info!(server = name, ?status, "the server's program has ended"),
        () = ended.cancelled() => {}
    }
    let id = group.0;
    drop(group);
    let _ = child.wait().await;
    ended.cancel();
    end_strays(&directory).await;
    drop(directory);
    if let Some(id) = id {
        reap(id).await;
    }
}

/// A process group. It is killed when this is dropped: at the latest when the
/// runtime ends, which waits for no task.
struct Group(Option<Pid>);

impl Group {
    fn of(leader: &Child) -> Self {
        let id = leader.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // Fails if nobody is left in the group, which is as good.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

#[cfg(target_os = "linux")]
async fn end_strays(directory: &TempDir) {
    let path = directory.path().to_owned();
    // Fails only if the runtime ends.
    let _ = tokio::task::spawn_blocking(move || super::strays::kill(&path)).await;
}

#[cfg(not(target_os = "linux"))]
async fn end_strays(_: &TempDir) {}

/// The first process of a pod inherits the orphans of its children, and must
/// take note of their end. Elsewhere there are none, and this returns at once.
async fn reap(group: Pid) {
    while let Ok(found) = waitpgid(group, WaitOptions::NOHANG) {
        if found.is_none() {
            tokio::time::sleep(REAP).await;
        }
    }
}

/// Servers may log to standard error; what they say is not ours to judge.
pub(super) async fn log_errors(name: String, errors: ChildStderr) {
    let mut lines = BufReader::new(errors).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        tracing::debug!(
            server = name,
            line = %String::from_utf8_lossy(&line),
            "standard error of the server's program"
        );
    }
}
