//! Removes what has ended, again and again, on every replica.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::Store;
use crate::telemetry::chain;

/// How often there is a look, at least.
const EVERY: Duration = Duration::from_secs(30);
/// Replicas that started together drift apart by up to this much each time.
const JITTER: Duration = Duration::from_secs(10);

/// Sweeps until `stop`.
pub(super) async fn run(store: Arc<dyn Store>, stop: CancellationToken) {
    loop {
        let pause = EVERY + JITTER.mul_f64(fraction());
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => sweep(&*store).await,
        }
    }
}

/// Sweeps until nothing is left, or somebody else does.
async fn sweep(store: &dyn Store) {
    loop {
        match store.sweep().await {
            Ok(0) => return,
            Ok(removed) => tracing::info!(removed, "what has ended was removed"),
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "what has ended cannot be removed now"
                );
                return;
            }
        }
    }
}

/// A number between 0 and 1 that differs from replica to replica and time to time.
fn fraction() -> f64 {
    let random = uuid::Uuid::new_v4().as_u128() as u16;
    f64::from(random) / f64::from(u16::MAX)
}
