//! What a local cluster remembers between commands: its ports, secrets and
//! processes, in one directory.

mod lock;
mod memory;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

pub(crate) use memory::Recorded;

use crate::process::Daemon;
use crate::{http, process, progress, random, wait};
use memory::Memory;

const FILE: &str = "state.json";
const LOCK: &str = "lock";
const START_WAIT: Duration = Duration::from_secs(90);

/// An opened state directory. Only one command at a time has it open.
#[derive(Debug)]
pub(crate) struct State {
    directory: PathBuf,
    memory: Memory,
    _lock: File,
}

impl State {
    /// Opens the directory, creating it, and waits while another command has
    /// it open.
    ///
    /// # Errors
    /// When the directory or its memory cannot be read.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let lock = lock::acquire(&directory.join(LOCK))?;
        // Only now: who had it open may have removed everything.
        let logs = directory.join("logs");
        fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
        Ok(Self {
            directory: directory.to_path_buf(),
            memory: Memory::read(&directory.join(FILE))?,
            _lock: lock,
        })
    }

    /// Whether there has ever been anything in this directory.
    pub(crate) fn exists(directory: &Path) -> bool {
        directory.join(FILE).exists()
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.directory.join(relative)
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.directory.join("logs").join(format!("{name}.log"))
    }

    /// A loopback port under a name, chosen once and kept.
    ///
    /// # Errors
    /// When no port is free or the choice cannot be saved.
    pub(crate) fn port(&mut self, name: &str) -> Result<u16> {
        if let Some(port) = self.memory.ports.get(name) {
            return Ok(*port);
        }
        let port = self.unused_port()?;
        self.memory.ports.insert(name.to_owned(), port);
        self.save()?;
        Ok(port)
    }

    /// A port for a program that is about to start: the remembered one, or
    /// another where a stranger has taken it meanwhile.
    ///
    /// # Errors
    /// As [`State::port`].
    pub(crate) fn port_to_listen_on(&mut self, name: &str) -> Result<u16> {
        let port = self.port(name)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() || !http::accepts(port) {
            return Ok(port);
        }
        self.memory.ports.remove(name);
        self.port(name)
    }

    fn unused_port(&self) -> Result<u16> {
        loop {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .and_then(|listener| listener.local_addr())
                .context("no loopback port is free")?
                .port();
            if !self.memory.ports.values().any(|taken| *taken == port) {
                return Ok(port);
            }
        }
    }

    /// A random password under a name, made once and kept.
    ///
    /// # Errors
    /// When it cannot be made or saved.
    pub(crate) fn password(&mut self, name: &str) -> Result<String> {
        self.secret(name, random::password)
    }

    /// A random 256-bit key in base64 under a name, made once and kept.
    ///
    /// # Errors
    /// When it cannot be made or saved.
    pub(crate) fn key(&mut self, name: &str) -> Result<String> {
        self.secret(name, random::key)
    }

    /// An Ed25519 private key in PEM under a name, made once and kept.
    ///
    /// # Errors
    /// When it cannot be made or saved.
    pub(crate) fn signing_key(&mut self, name: &str) -> Result<String> {
        self.secret(name, random::ed25519_key)
    }

    fn secret(&mut self, name: &str, make: impl FnOnce() -> Result<String>) -> Result<String> {
        if let Some(secret) = self.memory.secrets.get(name) {
            return Ok(secret.clone());
        }
        let secret = make()?;
        self.memory.secrets.insert(name.to_owned(), secret.clone());
        self.save()?;
        Ok(secret)
    }

    /// Whether the process recorded under `name` runs.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub(crate) fn runs(&self, name: &str) -> Result<bool> {
        match self
            .memory
            .processes
            .iter()
            .find(|recorded| recorded.name == name)
        {
            Some(recorded) => recorded.identity.is_alive(),
            None => Ok(false),
        }
    }

    /// The programs recorded here, running or not, in the order of their start.
    pub(crate) fn processes(&self) -> &[Recorded] {
        &self.memory.processes
    }

    /// Starts a program, records it, and waits until `ready` holds.
    ///
    /// # Errors
    /// When it cannot be started, ends (the error shows the end of its log),
    /// or is not ready in time.
    pub(crate) fn start(&mut self, daemon: &Daemon, mut ready: impl FnMut() -> bool) -> Result<()> {
        let log = self.log(daemon.name);
        let identity = daemon.start(&log)?;
        self.memory
            .processes
            .retain(|recorded| recorded.name != daemon.name);
        self.memory.processes.push(Recorded {
            name: daemon.name.to_owned(),
            identity: identity.clone(),
            stop: daemon.stop,
        });
        self.save()?;
        progress::step(&format!("{} (pid {})", daemon.name, identity.pid()), || {
            wait::until(
                &format!("{} becoming ready", daemon.name),
                START_WAIT,
                || {
                    if !identity.is_alive()? {
                        anyhow::bail!("{}", ended(daemon.name, &log));
                    }
                    Ok(ready().then_some(()))
                },
            )
            .with_context(|| {
                format!(
                    "{} did not start; its log is {}",
                    daemon.name,
                    log.display()
                )
            })
        })
    }

    /// Stops the programs that `chosen` picks, the last started first.
    ///
    /// # Errors
    /// When one cannot be stopped or forgotten.
    pub(crate) fn stop(&mut self, chosen: impl Fn(&Recorded) -> bool) -> Result<()> {
        for index in (0..self.memory.processes.len()).rev() {
            let Some(recorded) = self
                .memory
                .processes
                .get(index)
                .filter(|recorded| chosen(recorded))
            else {
                continue;
            };
            if recorded.identity.is_alive()? {
                progress::step(&format!("stop {}", recorded.name), || {
                    recorded.identity.stop(recorded.stop)
                })
                .with_context(|| format!("cannot stop {}", recorded.name))?;
            }
            self.memory.processes.remove(index);
            self.save()?;
        }
        Ok(())
    }

    /// Removes everything in the directory but the lock, for which another
    /// command may be waiting.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub(crate) fn forget(self) -> Result<()> {
        for entry in fs::read_dir(&self.directory)
            .with_context(|| format!("cannot list {}", self.directory.display()))?
        {
            let path = entry
                .with_context(|| format!("cannot list {}", self.directory.display()))?
                .path();
            if path.ends_with(LOCK) {
                continue;
            }
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }

    fn save(&self) -> Result<()> {
        self.memory.write(&self.path(FILE))
    }
}

/// What to say about a program that ended by itself.
pub(crate) fn ended(name: &str, log: &Path) -> String {
    format!(
        "{name} ended; the end of {}:\n{}",
        log.display(),
        process::log_tail(log)
    )
}

#[cfg(test)]
mod tests;
