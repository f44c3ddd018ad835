//! Waiting on conditions.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::interrupt;

const POLL: Duration = Duration::from_millis(50);

/// Polls `condition` until it yields a value.
///
/// # Errors
/// When `condition` fails, the time is over, or the user interrupts.
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        interrupt::check()?;
        if Instant::now() >= deadline {
            bail!("{what} did not happen within {} s", limit.as_secs());
        }
        thread::sleep(POLL);
    }
}
