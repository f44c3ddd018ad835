//! Metrics of the operator, in the OpenMetrics text format.

use std::sync::{Arc, OnceLock};
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
    errors: Family<ErrorLabels, Counter>,
    waiting: Family<KindLabels, Gauge>,
    watch_errors: Family<KindLabels, Counter>,
    leading: Gauge,
    organizations: Family<ConditionLabels, Gauge>,
    /// Counts organizations by condition; set once they are watched.
    census: OnceLock<Census>,
}

/// Counts organizations by type and status of their conditions.
pub(crate) type Census = Box<dyn Fn() -> Vec<(String, String)> + Send + Sync>;

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
struct ErrorLabels {
    kind: &'static str,
    class: &'static str,
}

/// Types and statuses are the operator's own, so there are few of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    condition: String,
    status: String,
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
        let errors = Family::default();
        let waiting = Family::default();
        let organizations = Family::default();
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
        registry.register(
            "errors",
            "Failed reconciliations by kind and class of the error",
            errors.clone(),
        );
        registry.register(
            "queue_depth",
            "Resources that wait to be reconciled",
            waiting.clone(),
        );
        registry.register(
            "organizations",
            "Organizations by condition and its status",
            organizations.clone(),
        );
        registry.register("watch_errors", "Interrupted watches", watch_errors.clone());
        registry.register("leading", "1 while this replica leads", leading.clone());
        Self(Arc::new(Inner {
            registry,
            reconciles,
            durations,
            writes,
            errors,
            waiting,
            watch_errors,
            leading,
            organizations,
            census: OnceLock::new(),
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

    /// Counts a failure of that class; see `WriteError::class`.
    pub fn failed(&self, kind: &'static str, class: &'static str) {
        self.0
            .errors
            .get_or_create(&ErrorLabels { kind, class })
            .inc();
    }

    /// Tells how many resources of a kind wait.
    pub fn queued(&self, kind: &'static str, waiting: usize) {
        let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
        self.0
            .waiting
            .get_or_create(&KindLabels { kind })
            .set(waiting);
    }

    /// Counts organizations with this from now on, whenever the metrics are read.
    pub(crate) fn count_organizations_with(&self, census: Census) {
        // Set once at the start; a second census would count the same.
        let _ = self.0.census.set(census);
    }

    fn count_organizations(&self) {
        let Some(census) = self.0.census.get() else {
            return;
        };
        self.0.organizations.clear();
        for (condition, status) in census() {
            let labels = ConditionLabels { condition, status };
            self.0.organizations.get_or_create(&labels).inc();
        }
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
        self.count_organizations();
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}
