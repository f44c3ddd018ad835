//! Asks all replicas to let a deleted organization go.

use std::fmt;
use std::time::Duration;

use futures::future::join_all;
use uuid::Uuid;

use super::Inner;
use super::client::CallError;
use super::replicas::Replica;

/// How long replicas are waited for that nobody hears of: they may be starting,
/// or gone without anybody having noticed yet.
const SILENCE: Duration = Duration::from_secs(30);

/// An organization that is to be let go.
#[derive(Clone, Debug)]
pub(crate) struct Retirement {
    /// Its name.
    pub(crate) organization: String,
    /// UID of the `Organization`.
    pub(crate) uid: String,
    /// What the database knows it by.
    pub(crate) tenant: Uuid,
    /// How long the deletion lasts already.
    pub(crate) waited: Duration,
}

/// What a deletion waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The gateway's endpoints have not been read yet, or there are none.
    NoReplica,
    /// Others are being retired.
    Turn,
    /// A replica has not acknowledged.
    Replica {
        /// Its name.
        name: String,
        /// Why not.
        why: String,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoReplica => formatter.write_str("no replica of the gateway is known yet"),
            Self::Turn => formatter.write_str("other organizations are let go first"),
            Self::Replica { name, why } => write!(formatter, "gateway replica {name}: {why}"),
        }
    }
}

/// Asks each replica, until all have acknowledged once.
pub(super) async fn retire(inner: &Inner, retirement: &Retirement) -> Vec<Waiting> {
    if inner.retired().contains(&retirement.uid) {
        return Vec::new();
    }
    let waits = ask_all(inner, retirement).await;
    if waits.is_empty() {
        inner.retired().insert(retirement.uid.clone());
    }
    waits
}

async fn ask_all(inner: &Inner, retirement: &Retirement) -> Vec<Waiting> {
    let Retirement {
        organization,
        tenant,
        waited,
        ..
    } = retirement;
    let Ok(_permit) = inner.retirements.try_acquire() else {
        return vec![Waiting::Turn];
    };
    let replicas = inner.replicas.borrow().clone();
    if !replicas.known || replicas.all.is_empty() {
        return if *waited < SILENCE {
            vec![Waiting::NoReplica]
        } else {
            Vec::new()
        };
    }
    let asked = replicas.all.values().map(|replica| async move {
        let answer = inner.client.retire(replica, organization, *tenant).await;
        (replica, answer.err())
    });
    let answers = join_all(asked).await;
    answers
        .into_iter()
        .filter_map(|(replica, error)| error.map(|error| (replica, error)))
        .filter(|(replica, error)| is_waited_for(replica, error, *waited))
        .map(|(replica, error)| Waiting::Replica {
            name: replica.name.clone(),
            why: error.to_string(),
        })
        .collect()
}

/// A replica that is ready serves agents, whether or not the operator reaches
/// it. One that is not ready, or whose state nobody knows, is only waited for
/// as long as it may still come up, unless it answers.
fn is_waited_for(replica: &Replica, error: &CallError, waited: Duration) -> bool {
    let is_silent = matches!(error, CallError::Unreachable(_));
    let is_ready = replica.ready == Some(true);
    is_ready || !is_silent || waited < SILENCE
}

#[cfg(test)]
#[path = "retire_tests.rs"]
mod tests;
