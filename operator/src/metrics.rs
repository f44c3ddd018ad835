//! Metrics of the operator, in the OpenMetrics text format.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// All metrics; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    reconciles: Family<ReconcileLabels, Counter>,
    durations: Family<KindLabels, Histogram>,
    writes: Family<WriteLabels, Counter>,
    watch_errors: Family<KindLabels, Counter>,
    leading: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    object: &'static str,
    verb: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("agentapi_operator");
        let reconciles = Family::default();
        let durations = Family::<KindLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.001, 4.0, 8))
        });
        let writes = Family::default();
        let watch_errors = Family::default();
        let leading = Gauge::default();
        registry.register(
            "reconciles",
            "Reconciliations by kind and outcome",
            reconciles.clone(),
        );
        registry.register(
            "reconcile_seconds",
            "Duration of reconciliations",
            durations.clone(),
        );
        registry.register(
            "writes",
            "Writes to the API server by object and verb",
            writes.clone(),
        );
        registry.register("watch_errors", "Interrupted watches", watch_errors.clone());
        registry.register("leading", "1 while this replica leads", leading.clone());
        Self(Arc::new(Inner {
            registry,
            reconciles,
            durations,
            writes,
            watch_errors,
            leading,
        }))
    }
}

impl Metrics {
    /// Counts a reconciliation that ended as `outcome` (`ok` or `error`).
    pub fn reconciled(&self, kind: &'static str, outcome: &'static str, duration: Duration) {
        self.0
            .reconciles
            .get_or_create(&ReconcileLabels { kind, outcome })
            .inc();
        self.0
            .durations
            .get_or_create(&KindLabels { kind })
            .observe(duration.as_secs_f64());
    }

    /// Counts a write.
    pub fn written(&self, object: &'static str, verb: &'static str) {
        self.0
            .writes
            .get_or_create(&WriteLabels { object, verb })
            .inc();
    }

    /// Counts an interrupted watch.
    pub fn watch_failed(&self, kind: &'static str) {
        self.0
            .watch_errors
            .get_or_create(&KindLabels { kind })
            .inc();
    }

    /// Tells whether this replica leads.
    pub fn leading(&self, leads: bool) {
        self.0.leading.set(i64::from(leads));
    }

    /// All metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// When the encoder fails, which writing to a string does not.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}
