//! What this replica serves and what it refused, in the order of change, for
//! whoever follows it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentapi_crds::internal_api::{OrganizationReport, Refused, ReportPage, Served};
use tokio::sync::watch;
use uuid::Uuid;

use super::Tenant;

/// Most organizations that are gone and still reported as such.
const MOST_GONE: usize = 1024;
/// Longest reason that is reported, in characters.
const LONGEST_MESSAGE: usize = 1024;

/// Reports of this process. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Reports {
    instance: Uuid,
    state: Arc<Mutex<State>>,
    latest: watch::Sender<u64>,
}

/// Every report has the number of the change that made it.
#[derive(Debug, Default)]
struct State {
    latest: u64,
    reports: HashMap<String, (u64, OrganizationReport)>,
    order: BTreeMap<u64, String>,
    gone: BTreeSet<u64>,
    /// The last change that was forgotten: who knows less than that must begin anew.
    forgotten: u64,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            instance: Uuid::new_v4(),
            state: Arc::default(),
            latest: watch::Sender::new(0),
        }
    }
}

impl Reports {
    /// An organization was put into service.
    pub(super) fn served(&self, tenant: &Tenant) {
        let served = Served {
            tenant_id: tenant.id.0,
            revision: tenant.config.revision.clone(),
        };
        self.change(&tenant.config.organization, |report| {
            report.served = Some(served.clone());
            report.refused = None;
        });
    }

    /// A newer document of an organization was refused.
    pub(super) fn refused(&self, organization: &str, revision: Option<String>, why: &str) {
        let refused = Refused {
            revision,
            message: why.chars().take(LONGEST_MESSAGE).collect(),
        };
        self.change(organization, |report| {
            report.refused = Some(refused.clone())
        });
    }

    /// An organization is gone, with whatever was refused of it.
    pub(super) fn removed(&self, organization: &str) {
        self.change(organization, |report| {
            report.served = None;
            report.refused = None;
        });
    }

    /// A page of what changed after a page of the same process; everything from
    /// the beginning for anybody else.
    pub fn page(&self, after: Option<(Uuid, u64)>, limit: usize) -> ReportPage {
        let state = self.state();
        let known = after.filter(|(instance, cursor)| {
            *instance == self.instance && *cursor >= state.forgotten && *cursor <= state.latest
        });
        let begin = known.map_or(0, |(_, cursor)| cursor);
        let mut news = state.order.range(begin + 1..).peekable();
        let mut cursor = begin;
        let mut organizations = Vec::new();
        while organizations.len() < limit
            && let Some((number, organization)) = news.next()
        {
            cursor = *number;
            organizations.extend(
                state
                    .reports
                    .get(organization)
                    .map(|(_, report)| report.clone()),
            );
        }
        let more = news.peek().is_some();
        ReportPage {
            instance: self.instance,
            cursor: if more { cursor } else { state.latest },
            full: known.is_none(),
            more,
            synced: false,
            organizations,
        }
    }

    /// The number of the latest change, and every one that follows.
    pub fn latest(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    fn change(&self, organization: &str, change: impl FnOnce(&mut OrganizationReport)) {
        let mut state = self.state();
        state.change(organization, change);
        let latest = state.latest;
        drop(state);
        self.latest.send_replace(latest);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn change(&mut self, organization: &str, change: impl FnOnce(&mut OrganizationReport)) {
        let known = self.reports.get(organization);
        let mut report = known.map_or_else(
            || OrganizationReport {
                organization: organization.to_owned(),
                served: None,
                refused: None,
            },
            |(_, report)| report.clone(),
        );
        change(&mut report);
        match known {
            Some((_, before)) if *before == report => return,
            None if report.served.is_none() && report.refused.is_none() => return,
            Some((number, _)) => {
                self.order.remove(number);
                self.gone.remove(number);
            }
            None => {}
        }
        self.latest += 1;
        if report.served.is_none() && report.refused.is_none() {
            self.gone.insert(self.latest);
        }
        self.order.insert(self.latest, organization.to_owned());
        self.reports
            .insert(organization.to_owned(), (self.latest, report));
        if self.gone.len() > MOST_GONE {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(number) = self.gone.pop_first() else {
            return;
        };
        if let Some(organization) = self.order.remove(&number) {
            self.reports.remove(&organization);
        }
        self.forgotten = number;
    }
}

#[cfg(test)]
#[path = "reports_tests.rs"]
mod tests;
