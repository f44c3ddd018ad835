//! Long-running programs that outlive this one: started into the background,
//! remembered by identity, stopped by identity.

mod identity;
mod user;

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub(crate) use identity::Identity;
pub(crate) use user::{User, is_root};

/// How a program is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StopSignal {
    /// SIGTERM: what most programs drain on.
    Terminate,
    /// SIGINT: PostgreSQL's fast shutdown, which does not wait for clients.
    Interrupt,
}

/// A program to run in the background.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) directory: PathBuf,
    pub(crate) user: Option<User>,
    pub(crate) stop: StopSignal,
}

impl Daemon {
    /// Starts the program in a process group of its own (Ctrl-C in the
    /// terminal does not reach it), writing to `log`.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started.
    pub(crate) fn start(&self, log: &Path) -> Result<Identity> {
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot open {}", log.display()))?;
        let errors = output
            .try_clone()
            .with_context(|| format!("cannot open {}", log.display()))?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        if let Some(user) = &self.user {
            user.assume(&mut command);
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {} ({})", self.name, self.program.display()))?;
        Identity::of(child.id())?
            .with_context(|| format!("{} ended at once; see {}", self.name, log.display()))
    }
}

/// The last lines of a log, for an error message.
pub(crate) fn log_tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    crate::command::tail(&String::from_utf8_lossy(&text), 20)
}
