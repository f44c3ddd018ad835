//! Leadership by one Lease (`coordination.k8s.io/v1`).
//!
//! Clocks of different machines are never compared: a follower waits for the
//! lease's duration on its own monotonic clock after it last saw the lease
//! change, and the leader stops writing that long after it *sent* its last
//! successful renewal, which is earlier than any follower can have seen it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt};
use uuid::Uuid;

/// Name of the Lease.
const LEASE: &str = "agentapi-operator";
/// How long a leader may go without renewing.
const DURATION: Duration = Duration::from_secs(15);
/// [`DURATION`] as the Lease states it.
const DURATION_SECONDS: i32 = 15;
/// Pause between renewals, and between a follower's looks.
const PERIOD: Duration = Duration::from_secs(2);
/// Longest wait for an answer: an API server that hangs must not keep a leader
/// from seeing that its time is over.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// This replica does not lead, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this replica does not lead: nothing is written")]
pub struct NotLeading;

/// Whether this replica leads; asked before every write, and again where its
/// bytes leave (`fence`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Leadership {
    deadline: Arc<Mutex<Option<Instant>>>,
}

impl Leadership {
    /// Fails unless this replica leads now.
    pub(crate) fn check(&self) -> Result<(), NotLeading> {
        let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        match deadline {
            Some(deadline) if Instant::now() < deadline => Ok(()),
            _ => Err(NotLeading),
        }
    }

    pub(crate) fn set(&self, deadline: Option<Instant>) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
    }
}

/// Takes part in the election of a leader.
pub(crate) struct Elector {
    leases: Api<Lease>,
    identity: String,
    leadership: Leadership,
    observed: Option<Observed>,
}

/// A version of the Lease, and when this replica first saw it.
struct Observed {
    resource_version: Option<String>,
    since: Instant,
}

impl Elector {
    /// An elector for the Lease in `namespace`.
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            identity: format!("{LEASE}-{}", Uuid::new_v4()),
            leadership: Leadership::default(),
            observed: None,
        }
    }

    /// Name of this replica in the Lease.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// What writers ask.
    pub(crate) fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Waits until this replica leads.
    pub(crate) async fn acquire(&mut self) {
        tracing::info!(identity = self.identity, "waiting for leadership");
        while !self.attempt().await {
            tokio::time::sleep(PERIOD).await;
        }
        tracing::info!(identity = self.identity, "leading");
    }

    /// Renews until leadership is lost, which is when this returns.
    pub(crate) async fn keep(&mut self) {
        while self.leadership.check().is_ok() {
            tokio::time::sleep(PERIOD).await;
            self.attempt().await;
        }
        self.leadership.set(None);
    }

    /// Gives leadership up, so that a successor need not wait for it to expire.
    pub(crate) async fn release(&mut self) {
        if self.leadership.check().is_err() {
            return;
        }
        self.leadership.set(None);
        let released = match self.leases.get(LEASE).await {
            Ok(mut lease) if holder(&lease) == Some(&self.identity) => {
                lease.spec.get_or_insert_default().holder_identity = None;
                self.leases
                    .replace(LEASE, &PostParams::default(), &lease)
                    .await
                    .map(drop)
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = released {
            tracing::warn!(%error, "leadership was not released: a successor waits until it expires");
        }
    }

    /// One try to become or stay the leader. An error keeps what there is until it expires.
    async fn attempt(&mut self) -> bool {
        let sent = Instant::now();
        let held = tokio::time::timeout(LONGEST_WAIT, self.try_hold()).await;
        let held = held.unwrap_or_else(|elapsed| Err(kube::Error::Service(Box::new(elapsed))));
        match held {
            Ok(true) => {
                self.leadership.set(Some(sent + DURATION));
                true
            }
            Ok(false) => {
                self.leadership.set(None);
                false
            }
            Err(error) => {
                tracing::warn!(%error, "the Lease cannot be read or written");
                false
            }
        }
    }

    async fn try_hold(&mut self) -> Result<bool, kube::Error> {
        let Some(lease) = self.leases.get_opt(LEASE).await? else {
            let lease = self.claim(Lease {
                metadata: ObjectMeta {
                    name: Some(LEASE.to_owned()),
                    ..ObjectMeta::default()
                },
                spec: None,
            });
            return written(self.leases.create(&PostParams::default(), &lease).await);
        };
        let is_free = match holder(&lease) {
            Some(holder) if *holder == self.identity => true,
            Some(_) => self.is_expired(&lease),
            None => true,
        };
        if !is_free {
            return Ok(false);
        }
        // With the version that was read: of two who see it free, one fails.
        let lease = self.claim(lease);
        written(
            self.leases
                .replace(LEASE, &PostParams::default(), &lease)
                .await,
        )
    }

    fn is_expired(&mut self, lease: &Lease) -> bool {
        let resource_version = lease.resource_version();
        let seconds = lease
            .spec
            .as_ref()
            .and_then(|spec| spec.lease_duration_seconds);
        let duration = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = duration.map_or(DURATION, Duration::from_secs);
        match &self.observed {
            Some(observed) if observed.resource_version == resource_version => {
                observed.since.elapsed() >= duration
            }
            _ => {
                self.observed = Some(Observed {
                    resource_version,
                    since: Instant::now(),
                });
                false
            }
        }
    }

    fn claim(&self, mut lease: Lease) -> Lease {
        let previous = lease.spec.unwrap_or_default();
        let is_ours = previous.holder_identity.as_ref() == Some(&self.identity);
        let now = Some(MicroTime(Timestamp::now()));
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(DURATION_SECONDS),
            acquire_time: if is_ours {
                previous.acquire_time
            } else {
                now.clone()
            },
            renew_time: now,
            lease_transitions: Some(previous.lease_transitions.unwrap_or(0) + i32::from(!is_ours)),
            ..LeaseSpec::default()
        });
        lease
    }
}

fn holder(lease: &Lease) -> Option<&String> {
    let holder = lease
        .spec
        .as_ref()
        .and_then(|spec| spec.holder_identity.as_ref());
    holder.filter(|holder| !holder.is_empty())
}

/// A conflict means that another replica was faster.
fn written(result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
