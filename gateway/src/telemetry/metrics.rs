//! Metrics in the OpenMetrics text format.
//!
//! Every label has a bounded set of values: route templates, fixed words. Names
//! of organizations, users, servers and tools never become labels.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of duration buckets, in seconds: from a cache hit to a slow tool.
const DURATIONS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

type Counters<L> = Family<L, Counter>;
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Class {
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    method: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Place {
    place: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AtServer {
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Event {
    outcome: &'static str,
}

/// All metrics of a process. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Durations<Request>,
    panics: Counter,
    authentication_failures: Counters<Reason>,
    limited: Counters<Class>,
    limited_locally: Counter,
    cache_away: Gauge,
    shed: Counters<Place>,
    capped: Counter,
    under_way: Gauge<u64, AtomicU64>,
    admission_limit: Gauge<u64, AtomicU64>,
    mcp_calls: Durations<Call>,
    upstream: Durations<Operation>,
    retries: Counters<AtServer>,
    breaker_openings: Counters<AtServer>,
    breakers_open: Family<AtServer, Gauge>,
    sessions: Counters<Operation>,
    oauth: Counters<Operation>,
    tenants: Gauge<u64, AtomicU64>,
    tenant_failures: Counter,
    audit_buffered: Gauge<u64, AtomicU64>,
    audit_lost: Counter,
    audit_may_lack: Counter,
    events: Counters<Event>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that count from zero.
    pub fn new() -> Self {
        let durations: fn() -> Histogram = || Histogram::new(DURATIONS);
        let mut metrics = Self {
            registry: Arc::default(),
            requests: Family::new_with_constructor(durations),
            panics: Counter::default(),
            authentication_failures: Family::default(),
            limited: Family::default(),
            limited_locally: Counter::default(),
            cache_away: Gauge::default(),
            shed: Family::default(),
            capped: Counter::default(),
            under_way: Gauge::default(),
            admission_limit: Gauge::default(),
            mcp_calls: Family::new_with_constructor(durations),
            upstream: Family::new_with_constructor(durations),
            retries: Family::default(),
            breaker_openings: Family::default(),
            breakers_open: Family::default(),
            sessions: Family::default(),
            oauth: Family::default(),
            tenants: Gauge::default(),
            tenant_failures: Counter::default(),
            audit_buffered: Gauge::default(),
            audit_lost: Counter::default(),
            audit_may_lack: Counter::default(),
            events: Family::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        metrics
    }

    fn register(&self) -> Registry {
        let mut registry = Registry::with_prefix("agentapi");
        let seconds = || Unit::Seconds;
        registry.register_with_unit(
            "http_request_duration",
            "HTTP requests answered",
            seconds(),
            self.requests.clone(),
        );
        registry.register(
            "http_panics",
            "Requests whose handler panicked",
            self.panics.clone(),
        );
        registry.register(
            "authentication_failures",
            "Requests refused for their credentials",
            self.authentication_failures.clone(),
        );
        registry.register(
            "rate_limited",
            "Requests refused by a rate",
            self.limited.clone(),
        );
        self.register_admission(&mut registry);
        registry.register_with_unit(
            "mcp_request_duration",
            "MCP requests of clients",
            seconds(),
            self.mcp_calls.clone(),
        );
        registry.register_with_unit(
            "upstream_duration",
            "Operations on MCP servers",
            seconds(),
            self.upstream.clone(),
        );
        registry.register(
            "upstream_retries",
            "Operations on MCP servers that were tried again",
            self.retries.clone(),
        );
        registry.register(
            "upstream_breaker_openings",
            "Times that an MCP server was left alone after failures",
            self.breaker_openings.clone(),
        );
        registry.register(
            "upstream_breakers_open",
            "MCP servers that are left alone now",
            self.breakers_open.clone(),
        );
        registry.register(
            "session_operations",
            "Operations on agent sessions",
            self.sessions.clone(),
        );
        registry.register(
            "oauth_operations",
            "Operations at the authorization servers of MCP servers",
            self.oauth.clone(),
        );
        registry.register("tenants", "Organizations served", self.tenants.clone());
        registry.register(
            "tenant_config_failures",
            "TenantConfig documents refused",
            self.tenant_failures.clone(),
        );
        registry.register(
            "audit_records_buffered",
            "Audit records acknowledged and not yet written",
            self.audit_buffered.clone(),
        );
        registry.register(
            "audit_records_lost",
            "Audit records acknowledged and never written by this process",
            self.audit_lost.clone(),
        );
        registry.register(
            "audit_records_may_lack",
            "Most audit records lost with processes that died and whose chains this one closed",
            self.audit_may_lack.clone(),
        );
        registry.register(
            "event_deliveries",
            "Attempts to deliver events to organizations' sinks",
            self.events.clone(),
        );
        registry
    }

    fn register_admission(&self, registry: &mut Registry) {
        registry.register(
            "limits_decided_locally",
            "Requests whose rate this replica decided alone, because the cache was away",
            self.limited_locally.clone(),
        );
        registry.register(
            "cache_away",
            "1 while the cache does not answer, else 0",
            self.cache_away.clone(),
        );
        registry.register(
            "requests_shed",
            "Requests turned away because the gateway had enough to do",
            self.shed.clone(),
        );
        registry.register(
            "requests_capped",
            "Requests refused because their organization had as many under way as it may",
            self.capped.clone(),
        );
        registry.register(
            "requests_under_way",
            "Requests of callers that are being served",
            self.under_way.clone(),
        );
        registry.register(
            "requests_under_way_limit",
            "How many may be, as found by how long work waits for a processor",
            self.admission_limit.clone(),
        );
    }

    /// An HTTP request was answered. `route` is the route's template, never the path.
    pub fn http_request(&self, route: &str, method: &str, status: u16, took: Duration) {
        let labels = Request {
            route: route.to_owned(),
            method: known_method(method),
            status,
        };
        self.requests
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// A handler panicked.
    pub fn http_panic(&self) {
        self.panics.inc();
    }

    /// A request was refused for its credentials.
    pub fn auth_failure(&self, reason: &'static str) {
        self.authentication_failures
            .get_or_create(&Reason { reason })
            .inc();
    }

    /// A request of a class was refused by its rate.
    pub fn limited(&self, class: &'static str) {
        self.limited.get_or_create(&Class { class }).inc();
    }

    /// The rate of a request was decided by this replica alone.
    pub fn limited_locally(&self) {
        self.limited_locally.inc();
    }

    /// The cache is away, or is back.
    pub fn cache_away(&self, away: bool) {
        self.cache_away.set(away.into());
    }

    /// A request was turned away at the `door` or for want of a `seat`.
    pub fn shed(&self, place: &'static str) {
        self.shed.get_or_create(&Place { place }).inc();
    }

    /// A request was refused by its organization's cap.
    pub fn capped(&self) {
        self.capped.inc();
    }

    /// How many requests of callers are being served.
    pub fn under_way(&self, requests: usize) {
        self.under_way.set(requests as u64);
    }

    /// How many may be.
    pub fn admission_limit(&self, requests: usize) {
        self.admission_limit.set(requests as u64);
    }

    /// An MCP request of a client was answered. `method` is one that the specification names, or `other`.
    pub fn mcp_call(&self, method: &'static str, outcome: &'static str, took: Duration) {
        self.mcp_calls
            .get_or_create(&Call { method, outcome })
            .observe(took.as_secs_f64());
    }

    /// An operation on an MCP server (`connect`, `list`, `call`, `read`, `disconnect`) ended.
    pub fn upstream(&self, operation: &'static str, outcome: &'static str, took: Duration) {
        self.upstream
            .get_or_create(&Operation { operation, outcome })
            .observe(took.as_secs_f64());
    }

    /// An operation on an MCP server is tried again.
    pub fn upstream_retry(&self, operation: &'static str) {
        self.retries.get_or_create(&AtServer { operation }).inc();
    }

    /// An MCP server is left alone for a while.
    pub fn breaker_opened(&self, operation: &'static str) {
        self.breaker_reopened(operation);
        self.breakers_open
            .get_or_create(&AtServer { operation })
            .inc();
    }

    /// An MCP server that was left alone still fails.
    pub fn breaker_reopened(&self, operation: &'static str) {
        self.breaker_openings
            .get_or_create(&AtServer { operation })
            .inc();
    }

    /// An MCP server that was left alone is asked again, or is gone.
    pub fn breaker_closed(&self, operation: &'static str) {
        self.breakers_open
            .get_or_create(&AtServer { operation })
            .dec();
    }

    /// An operation on an agent session (`create`, `update`, `delete`) ended.
    pub fn session(&self, operation: &'static str, outcome: &'static str) {
        self.sessions
            .get_or_create(&Operation { operation, outcome })
            .inc();
    }

    /// An operation at an authorization server (`connect`, `refresh`, `revoke`) ended.
    pub fn oauth(&self, operation: &'static str, outcome: &'static str) {
        self.oauth
            .get_or_create(&Operation { operation, outcome })
            .inc();
    }

    /// How many organizations are served now.
    pub fn tenants(&self, count: usize) {
        self.tenants.set(count as u64);
    }

    /// A TenantConfig document was refused, and the previous one kept.
    pub fn tenant_compile_failure(&self) {
        self.tenant_failures.inc();
    }

    /// How many audit records are acknowledged and not yet written.
    pub fn audit_buffered(&self, records: u64) {
        self.audit_buffered.set(records);
    }

    /// Audit records that were acknowledged could not be written.
    pub fn audit_lost(&self, records: u64) {
        self.audit_lost.inc_by(records);
    }

    /// A process died that may have acknowledged so many audit records without writing them.
    pub fn audit_may_lack(&self, records: u64) {
        self.audit_may_lack.inc_by(records);
    }

    /// An attempt to deliver an event ended: `delivered`, `failed` or, for good, `dead`.
    pub fn event(&self, outcome: &'static str) {
        self.events.get_or_create(&Event { outcome }).inc();
    }

    /// All metrics as OpenMetrics text.
    ///
    /// # Errors
    /// Only if a metric refuses to be written: a defect of this program.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// The method as a bounded label: a client may send any word as its method.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_template_method_and_status() {
        let metrics = Metrics::new();
        metrics.http_request("/v1/sessions/{id}", "GET", 404, Duration::from_millis(3));
        let text = metrics.encode().expect("metrics encode");
        let line = r#"agentapi_http_request_duration_seconds_count{route="/v1/sessions/{id}",method="GET",status="404"} 1"#;
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn an_invented_method_becomes_no_label() {
        let metrics = Metrics::new();
        metrics.http_request("/mcp", "BREW-0042", 405, Duration::ZERO);
        let text = metrics.encode().expect("metrics encode");
        assert!(!text.contains("BREW"), "{text}");
        assert!(text.contains(r#"method="other""#), "{text}");
    }

    #[test]
    fn clones_count_together() {
        let metrics = Metrics::new();
        metrics.clone().tenants(7);
        let text = metrics.encode().expect("metrics encode");
        assert!(text.contains("agentapi_tenants 7"), "{text}");
    }
}
