//! What servers were found to offer, and when each is asked again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use agentapi_crds::internal_api::DiscoveredTools;
use tokio::sync::Notify;

use super::jitter::{after_failures, jittered};

/// Pause between two looks at a server that answers.
const REFRESH: Duration = Duration::from_secs(10 * 60);
/// First pause after a server, or the gateway, did not answer.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Pause while nothing is to be done.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// What a server was found to offer, or why that is not known.
pub(crate) type Outcome = Result<DiscoveredTools, String>;

/// Namespace and name of an `McpServer`.
pub(super) type Key = (String, String);

/// A server whose tools are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Namespace of the `McpServer`.
    pub(crate) namespace: String,
    /// Name of the `McpServer`.
    pub(crate) name: String,
    /// The organization that it is served for.
    pub(crate) organization: String,
    /// What changes with the server's configuration, and with nothing else.
    pub(crate) fingerprint: String,
    /// Whether the status tells about this configuration already, so that there is no hurry.
    pub(crate) is_told: bool,
}

/// Servers and what was found of them.
#[derive(Debug, Default)]
pub(super) struct Tools {
    servers: Mutex<HashMap<Key, Entry>>,
    pub(super) news: Notify,
}

#[derive(Debug)]
struct Entry {
    organization: String,
    fingerprint: String,
    due: Instant,
    asking: bool,
    failures: u32,
    found: Option<Outcome>,
}

/// A server that is to be asked now.
#[derive(Clone, Debug)]
pub(super) struct Due {
    pub(super) key: Key,
    pub(super) organization: String,
    fingerprint: String,
}

impl Tools {
    /// What was found of a server as it is configured now; has it asked if nothing was.
    pub(super) fn found(&self, wanted: Wanted) -> Option<Outcome> {
        let mut servers = self.servers();
        let key = (wanted.namespace, wanted.name);
        let known = servers.get(&key);
        if let Some(entry) = known.filter(|entry| entry.fingerprint == wanted.fingerprint) {
            return entry.found.clone();
        }
        let is_told = wanted.is_told && known.is_none();
        let entry = Entry {
            organization: wanted.organization,
            fingerprint: wanted.fingerprint,
            due: Instant::now()
                + if is_told {
                    jittered(REFRESH)
                } else {
                    Duration::ZERO
                },
            asking: false,
            failures: 0,
            found: None,
        };
        servers.insert(key, entry);
        drop(servers);
        self.news.notify_one();
        None
    }

    /// At most `most` servers that are to be asked now, and the pause until another is.
    pub(super) fn due(&self, most: usize) -> (Vec<Due>, Duration) {
        let now = Instant::now();
        let mut due = Vec::new();
        let mut pause = IDLE;
        for (key, entry) in self.servers().iter_mut().filter(|(_, entry)| !entry.asking) {
            if entry.due > now {
                pause = pause.min(entry.due - now);
            } else if due.len() < most {
                entry.asking = true;
                due.push(Due {
                    key: key.clone(),
                    organization: entry.organization.clone(),
                    fingerprint: entry.fingerprint.clone(),
                });
            }
        }
        (due, pause)
    }

    /// A server was asked. Returns whether what is known of it changed.
    pub(super) fn asked(&self, due: &Due, outcome: Outcome) -> bool {
        self.ended(due, |entry| {
            match &outcome {
                Ok(_) => {
                    entry.failures = 0;
                    entry.due = Instant::now() + jittered(REFRESH);
                }
                Err(_) => entry.put_off(REFRESH),
            }
            let is_new = entry.found.as_ref() != Some(&outcome);
            entry.found = Some(outcome.clone());
            is_new
        })
    }

    /// No replica could ask the server: nothing is known of it by that.
    pub(super) fn put_off(&self, due: &Due) {
        self.ended(due, |entry| {
            entry.put_off(Duration::from_secs(60));
            false
        });
    }

    /// The server is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.servers().remove(key);
    }

    fn ended(&self, due: &Due, end: impl FnOnce(&mut Entry) -> bool) -> bool {
        let mut servers = self.servers();
        let entry = servers.get_mut(&due.key);
        // Configured anew meanwhile: what was heard is of another configuration.
        let entry = entry.filter(|entry| entry.fingerprint == due.fingerprint);
        entry.is_some_and(|entry| {
            entry.asking = false;
            end(entry)
        })
    }

    fn servers(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn put_off(&mut self, longest: Duration) {
        self.failures += 1;
        self.due = Instant::now() + after_failures(FIRST_PAUSE, longest, self.failures);
    }
}

#[cfg(test)]
#[path = "tools_tests.rs"]
mod tests;
