//! The file that holds what is remembered.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::process::{Identity, StopSignal};

/// Everything that survives a command.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    #[serde(default)]
    pub(super) ports: BTreeMap<String, u16>,
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, String>,
    /// In the order they were started.
    #[serde(default)]
    pub(super) processes: Vec<Recorded>,
}

/// A program that was started here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) identity: Identity,
    pub(super) stop: StopSignal,
}

impl Memory {
    /// What `path` holds; nothing where there is no such file.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub(super) fn read(path: &Path) -> Result<Self> {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| {
                format!(
                    "{} is damaged: remove its directory and start again",
                    path.display()
                )
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Replaces the file, so that a crash leaves either the old or the new one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let temporary = path.with_extension("json.new");
        let write = || -> Result<()> {
            let mut file = OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            Ok(fs::rename(&temporary, path)?)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}
