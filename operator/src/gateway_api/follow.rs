//! Waits for the news of every replica.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube_runtime::reflector::ObjectRef;
use tokio::task::AbortHandle;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::applied::is_told;
use super::client::CallError;
use super::jitter::after_failures;
use super::replicas::Replica;
use super::seen::Touched;
use super::{Inner, Wake};

/// Least time between two questions: what comes closer together is asked for at once.
const BREATH: Duration = Duration::from_millis(100);
/// First pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Failures in a row after which what a replica said counts no longer.
const LOST: u32 = 4;

/// Follows each present replica by a task of its own, for as long as it is polled.
pub(super) async fn all(inner: Arc<Inner>, wake: Wake) {
    let mut replicas = inner.replicas.clone();
    let mut tasks = JoinSet::new();
    let mut following: HashMap<String, (Replica, AbortHandle)> = HashMap::new();
    loop {
        let present = replicas.borrow_and_update().all.clone();
        following.retain(|name, (replica, task)| {
            let stays = present
                .get(name)
                .is_some_and(|found| found.address == replica.address);
            if !stays {
                task.abort();
                let touched = inner.seen().forget(name);
                wake.organizations(&inner, &touched);
            }
            stays
        });
        for (name, replica) in present {
            following.entry(name).or_insert_with(|| {
                let task = tasks.spawn(one(inner.clone(), replica.clone(), wake.clone()));
                (replica, task)
            });
        }
        if replicas.changed().await.is_err() {
            // Fixed addresses never change: go on with those there are.
            std::future::pending::<()>().await;
        }
    }
}

async fn one(inner: Arc<Inner>, replica: Replica, wake: Wake) {
    let mut known = None;
    let mut failures = 0;
    loop {
        let news = inner.client.news(&replica, known).await;
        let pause = match news {
            Ok(page) => {
                if failures > 0 || known.is_none() {
                    tracing::info!(replica = replica.name, "following a replica of the gateway");
                }
                failures = 0;
                known = Some((page.instance, page.cursor));
                let touched = inner.seen().note(&replica.name, page);
                wake.organizations(&inner, &touched);
                BREATH
            }
            Err(error) => {
                failures += 1;
                tell(&replica, &error, failures);
                if failures == LOST {
                    known = None;
                    let touched = inner.seen().forget(&replica.name);
                    wake.organizations(&inner, &touched);
                }
                after_failures(FIRST_PAUSE, LONGEST_PAUSE, failures)
            }
        };
        sleep(pause).await;
    }
}

/// Once for each outage, not for every try.
fn tell(replica: &Replica, error: &CallError, failures: u32) {
    if failures == LOST {
        tracing::warn!(replica = replica.name, address = replica.address, %error, "a replica of the gateway does not tell what it serves");
    } else {
        tracing::debug!(replica = replica.name, %error, "a replica of the gateway did not answer");
    }
}

impl Wake {
    /// Has those organizations looked at whose status does not say what is known by now.
    pub(super) fn organizations(&self, inner: &Inner, touched: &Touched) {
        let present = match touched {
            Touched::All => self.caches.organizations.all(),
            Touched::Only(names) => names
                .iter()
                .filter_map(|name| self.caches.organizations.get(None, name))
                .collect(),
        };
        for organization in present {
            let Some(status) = &organization.status else {
                continue;
            };
            let name = organization.name_any();
            let revision = status.revision.as_deref().unwrap_or_default();
            let verdict = inner.seen().verdict(&name, revision);
            if !is_told(status, &verdict) {
                self.organizations.add(ObjectRef::new(&name));
            }
        }
    }
}
