//! Waiting for a condition instead of for a clock.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Longest wait for a condition. Generous: a test machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(100);

/// Asks until `check` gives a value; its last error says why it never did.
pub async fn eventually<T, F>(what: &str, check: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    within(LIMIT, what, check).await
}

/// The same with a limit of the caller's own.
pub async fn within<T, F>(limit: Duration, what: &str, mut check: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let started = Instant::now();
    loop {
        match check().await {
            Ok(value) => return Ok(value),
            Err(error) if started.elapsed() > limit => {
                bail!("{what}: not within {limit:?}: {error:#}")
            }
            Err(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}
