//! Ctrl-C and SIGTERM as a condition that steps check, so that what was
//! started is also stopped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on, the first Ctrl-C is only remembered; a second one ends this
/// program at once.
///
/// # Errors
/// When a handler cannot be installed.
pub(crate) fn install() -> Result<()> {
    if INTERRUPTED.get().is_some() {
        return Ok(());
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 130, Arc::clone(&interrupted))
            .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
            .context("cannot install a signal handler")?;
    }
    INTERRUPTED.get_or_init(|| interrupted);
    Ok(())
}

/// Whether the user asked to stop.
pub(crate) fn requested() -> bool {
    INTERRUPTED
        .get()
        .is_some_and(|flag| flag.load(Ordering::SeqCst))
}

/// Fails when the user asked to stop.
///
/// # Errors
/// After Ctrl-C or SIGTERM.
pub(crate) fn check() -> Result<()> {
    if requested() {
        bail!("interrupted");
    }
    Ok(())
}

/// Forgets a request to stop, so that the clean-up may wait on conditions.
pub(crate) fn acknowledge() {
    if let Some(flag) = INTERRUPTED.get() {
        flag.store(false, Ordering::SeqCst);
    }
}
