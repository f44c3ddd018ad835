//! What reconciliations share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agentapi_crds::Organization;
use kube::ResourceExt;

use crate::apply::Writer;
use crate::gateway_api::Gateways;
use crate::metrics::Metrics;
use crate::organization::Documents;
use crate::rank::is_earlier;
use crate::secrets::SecretReader;
use crate::settings::Settings;
use crate::watch::{Caches, OwnedObjects};

/// What reconciliations share.
pub struct Context {
    /// What the platform decides.
    pub settings: Settings,
    /// The present resources.
    pub caches: Caches,
    /// The present objects of ours.
    pub owned: OwnedObjects,
    /// The only writer.
    pub writer: Writer,
    /// Reads Secrets' types and keys.
    pub secrets: SecretReader,
    /// The documents that organizations are served from.
    pub documents: Documents,
    /// What the gateway serves.
    pub gateways: Gateways,
    /// Metrics.
    pub metrics: Metrics,
    /// How often each resource failed in a row.
    pub failures: Failures,
}

impl Context {
    /// The organization whose namespace that is; the earliest where several claim it.
    pub fn organization_of(&self, namespace: &str) -> Option<Arc<Organization>> {
        let claimants = self.caches.claims.of_namespace(namespace);
        self.organizations(claimants)
            .into_iter()
            .reduce(|first, other| {
                if is_earlier(other.as_ref(), first.as_ref()) {
                    other
                } else {
                    first
                }
            })
    }

    /// The organizations that claim something that this one claims too.
    pub fn rivals_of(&self, organization: &Organization) -> Vec<Arc<Organization>> {
        self.organizations(self.caches.claims.rivals(&organization.name_any()))
    }

    fn organizations(&self, names: impl IntoIterator<Item = String>) -> Vec<Arc<Organization>> {
        let found = names.into_iter();
        found
            .filter_map(|name| self.caches.organizations.get(None, &name))
            .collect()
    }
}

/// Failures in a row by resource, for the pause before the next try.
#[derive(Default)]
pub struct Failures(Mutex<HashMap<String, u32>>);

/// First pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

impl Failures {
    /// Counts a failure and returns the pause before the next try: doubling, bounded.
    pub fn pause_after(&self, resource: &str) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(resource.to_owned()).or_default();
        let pause = FIRST_PAUSE.saturating_mul(1 << (*count).min(16));
        *count += 1;
        pause.min(LONGEST_PAUSE)
    }

    /// Forgets the failures of a resource.
    pub fn clear(&self, resource: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::{Failures, LONGEST_PAUSE};

    #[test]
    fn pauses_double_up_to_a_bound_and_start_anew_after_a_success() {
        let failures = Failures::default();
        let pauses: Vec<_> = (0..4)
            .map(|_| failures.pause_after("a").as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8]);
        let last = (0..100).map(|_| failures.pause_after("a")).last();
        assert_eq!(last, Some(LONGEST_PAUSE));
        failures.clear("a");
        assert_eq!(failures.pause_after("a").as_secs(), 1);
    }
}
