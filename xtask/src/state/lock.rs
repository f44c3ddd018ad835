//! One command at a time.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{progress, wait};

/// Longer than the longest command that holds it, a whole test run.
const LIMIT: Duration = Duration::from_secs(3600);

/// Waits for the lock on `path`, which ends with the returned file.
///
/// # Errors
/// When it cannot be had, or the user interrupts.
pub(super) fn acquire(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut told = false;
    wait::until("the other command's end", LIMIT, || match file.try_lock() {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::WouldBlock) => {
            if !told {
                progress::note("waiting for another `cargo xtask` that works on this cluster");
                told = true;
            }
            Ok(None)
        }
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock the state directory"),
    })?;
    Ok(file)
}
