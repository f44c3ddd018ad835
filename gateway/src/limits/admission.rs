//! How much is under way at one time: who is let in, and who is turned away early.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use http::HeaderValue;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::counts::{Counts, Held};
use super::pressure::Pressure;
use super::seats::{Seat, Seats};
use super::shared::Shared;
use crate::store::TenantId;
use crate::telemetry::Metrics;

/// How long a probe sleeps, and how many make an interval: 100 ms, as CoDel has it.
const PROBE: Duration = Duration::from_millis(10);
const PROBES: u32 = 10;

/// Requests under way on this replica. Cloning is cheap.
///
/// A request passes a door and takes a seat. At the *door* nothing is known of it but
/// its credential, and nothing expensive has been done: those who are being
/// authenticated are bounded, and share by credential. A *seat* is held until the
/// answer is sent: organizations share the seats, and each may have a cap of its own.
/// One seat in sixteen is kept for administrators. How many seats there are follows
/// from how long work waits for a processor.
#[derive(Clone)]
pub struct Admission {
    door: Seats<u64>,
    seats: Seats<Group>,
    under_way: Counts<TenantId>,
    hasher: RandomState,
    most: usize,
    shared: Shared,
    metrics: Metrics,
}

/// A request under way: what it holds until its answer is sent.
#[derive(Debug)]
pub struct UnderWay {
    _seat: Seat<Group>,
    _of_cap: Held<TenantId>,
}

/// The administrators of an organization share apart from its other callers, or
/// these could leave them none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Group {
    tenant: TenantId,
    administrators: bool,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The organization has as many requests under way as it may.
    Cap,
    /// The gateway has as much under way as it can serve.
    Overload,
}

impl Admission {
    /// At most `most` requests under way. `shared` knows how many replicas share an organization's cap.
    pub fn new(most: usize, shared: Shared, metrics: Metrics) -> Self {
        metrics.admission_limit(most);
        Self {
            door: Seats::new(most),
            seats: Seats::new(most),
            under_way: Counts::default(),
            hasher: RandomState::new(),
            most,
            shared,
            metrics,
        }
    }

    /// A place in front of authentication, for a credential as it was sent.
    ///
    /// # Errors
    /// [`Refusal::Overload`].
    pub fn enter(&self, credential: Option<&HeaderValue>) -> Result<Seat<u64>, Refusal> {
        // Keyed by secrets of this process: nobody can aim at another's share.
        let group = self.hasher.hash_one(credential);
        self.door.take(group, true).ok_or_else(|| self.shed("door"))
    }

    /// A seat for a request of an organization, which may have `cap` under way over all replicas.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn seat(
        &self,
        tenant: TenantId,
        administrator: bool,
        cap: u32,
    ) -> Result<UnderWay, Refusal> {
        let of_cap = self.under_way.take(&tenant, self.own_part(cap));
        let group = Group {
            tenant,
            administrators: administrator,
        };
        Ok(UnderWay {
            _of_cap: of_cap.ok_or(Refusal::Cap)?,
            _seat: self
                .seats
                .take(group, administrator)
                .ok_or_else(|| self.shed("seat"))?,
        })
    }

    /// This replica's part of a cap over all replicas: at least one.
    pub fn own_part(&self, cap: u32) -> usize {
        cap.div_ceil(self.shared.replicas()).max(1) as usize
    }

    /// Watches how long work waits for a processor, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let mut pressure = Pressure::new(self.most);
        let watching = async {
            loop {
                let delay = smallest_delay().await;
                let under_way = self.seats.taken();
                let limit = pressure.after(delay, under_way);
                self.seats.resize(limit);
                self.metrics.admission_limit(limit);
                self.metrics.under_way(under_way);
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = watching => {}
        }
    }

    fn shed(&self, place: &'static str) -> Refusal {
        self.metrics.shed(place);
        Refusal::Overload
    }
}

/// How much later than asked a task ran, at the least, in one interval.
async fn smallest_delay() -> Duration {
    let mut smallest = Duration::MAX;
    for _ in 0..PROBES {
        let started = Instant::now();
        sleep(PROBE).await;
        smallest = smallest.min(started.elapsed().saturating_sub(PROBE));
    }
    smallest
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
