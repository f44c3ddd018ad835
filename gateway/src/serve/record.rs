//! The keeping of the audit record, from configuration.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::{Anchors, Keeping};
use crate::config::Config;
use crate::domain::audit::{KeyError, Signer};
use crate::telemetry::Metrics;

/// How often chains that have grown are stated in a checkpoint: what is cut off
/// within this time, and no writer misses it, leaves no trace.
const INTERVAL: Duration = Duration::from_secs(30);
/// Silence after which a writer counts as dead.
const SILENCE: Duration = Duration::from_secs(150);
/// How often partitions are made ahead and expired ones removed.
const RETENTION_INTERVAL: Duration = Duration::from_secs(3600);

/// What signs the record, where it is configured.
pub(super) fn signer(config: &Config) -> Result<Option<Arc<Signer>>, KeyError> {
    let signer = config.audit_signing_key.as_ref().map(Signer::from_pem);
    Ok(signer.transpose()?.map(Arc::new))
}

/// What keeps the record.
pub(super) fn keeping(
    signer: Option<Arc<Signer>>,
    anchors: Arc<dyn Anchors>,
    metrics: Metrics,
) -> Keeping {
    if signer.is_none() {
        tracing::warn!(
            "audit_signing_key is not set: the audit record has no checkpoints, and nothing is removed from it"
        );
    }
    Keeping {
        signer,
        anchors,
        interval: INTERVAL,
        silence: SILENCE,
        retention_interval: RETENTION_INTERVAL,
        metrics,
    }
}
