//! What the replicas said, and what follows from it.

use std::collections::{BTreeMap, HashMap};

use agentapi_crds::internal_api::{OrganizationReport, ReportPage};

/// What replicas said, by name.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<String, Told>);

/// What one replica said.
#[derive(Debug, Default)]
struct Told {
    /// Whether it said everything, and has read everything itself.
    complete: bool,
    organizations: HashMap<String, OrganizationReport>,
}

/// Whether replicas serve a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of them do.
    Everywhere,
    /// One refused it, for this reason.
    Refused(String),
    /// Some do not yet.
    Pending,
    /// None has said anything.
    Unknown,
}

/// Whom news concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Touched {
    /// These organizations.
    Only(Vec<String>),
    /// Any of them.
    All,
}

impl Seen {
    /// Takes a page of a replica in.
    pub(super) fn note(&mut self, replica: &str, page: ReportPage) -> Touched {
        let told = self.0.entry(replica.to_owned()).or_default();
        let was_complete = told.complete;
        if page.full {
            told.organizations.clear();
            told.complete = false;
        }
        let mut touched = Vec::with_capacity(page.organizations.len());
        for report in page.organizations {
            touched.push(report.organization.clone());
            if report.served.is_none() && report.refused.is_none() {
                told.organizations.remove(&report.organization);
            } else {
                told.organizations
                    .insert(report.organization.clone(), report);
            }
        }
        if !page.more {
            told.complete = page.synced;
        }
        if told.complete == was_complete && !page.full {
            Touched::Only(touched)
        } else {
            Touched::All
        }
    }

    /// A replica is gone, or has not been reached for a while.
    pub(super) fn forget(&mut self, replica: &str) -> Touched {
        match self.0.remove(replica) {
            Some(_) => Touched::All,
            None => Touched::Only(Vec::new()),
        }
    }

    /// Whether the replicas serve that revision of an organization.
    pub(super) fn verdict(&self, organization: &str, revision: &str) -> Verdict {
        let mut told = self.0.values().filter(|told| told.complete).peekable();
        if told.peek().is_none() {
            return Verdict::Unknown;
        }
        let mut pending = false;
        for told in told {
            let report = told.organizations.get(organization);
            let refused = report.and_then(|report| report.refused.as_ref());
            let is_this =
                |stated: &Option<String>| stated.as_deref().is_none_or(|stated| stated == revision);
            if let Some(refused) = refused.filter(|refused| is_this(&refused.revision)) {
                return Verdict::Refused(refused.message.clone());
            }
            let served = report.and_then(|report| report.served.as_ref());
            pending |= served.is_none_or(|served| served.revision != revision);
        }
        if pending {
            Verdict::Pending
        } else {
            Verdict::Everywhere
        }
    }

    /// Replicas that serve an organization.
    pub(super) fn serving(&self, organization: &str) -> Vec<String> {
        let serves = |told: &Told| {
            let report = told.organizations.get(organization);
            report.is_some_and(|report| report.served.is_some())
        };
        let serving = self.0.iter().filter(|(_, told)| serves(told));
        serving.map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
#[path = "seen_tests.rs"]
mod tests;
