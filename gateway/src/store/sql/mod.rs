//! The statements, written once for both databases.
//!
//! Every statement names the tenant, in PostgreSQL too: there row-level security
//! would give the same rows without, and is the second lock on the same door.

mod api_keys;
mod audit;
mod audit_keeping;
mod browsers;
mod connections;
mod engine;
mod events;
mod idempotency;
mod mcp_configs;
mod mcp_sessions;
#[cfg(test)]
mod recorded;
mod retirement;
mod revocations;
mod sealed;
mod session_events;
mod session_members;
mod sessions;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

pub(super) use audit::{Sealed, audit_columns, begun};
pub(super) use engine::{Engine, Stored, Transaction, Value, bind_all};
#[cfg(test)]
pub(crate) use recorded::{Calls, Recorded};

use super::{Health, Paged, StoreError, Sweeper};

/// The store on one of the databases.
pub(super) struct SqlStore<E> {
    engine: E,
}

impl<E: Engine> SqlStore<E> {
    pub(super) fn new(engine: E) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl<E: Engine> Health for SqlStore<E> {
    async fn ping(&self) -> Result<(), StoreError> {
        self.engine.ping().await
    }
}

#[async_trait]
impl<E: Engine> Sweeper for SqlStore<E> {
    async fn sweep(&self) -> Result<u64, StoreError> {
        self.engine.sweep(now()).await
    }
}

/// The clock of every statement, in microseconds since 1970.
///
/// The gateway's, not the database's: expiry times come from the gateway as
/// well, and replicas are kept in step by the cluster.
pub(super) fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

fn timestamp(what: &'static str, microseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(microseconds).map_err(|error| StoreError::corrupt(what, error))
}

fn json(what: &'static str, text: &str) -> Result<serde_json::Value, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::corrupt(what, error))
}

/// Before the first item of a list that is read newest first.
fn start_of_list(after: Option<Uuid>) -> Uuid {
    after.unwrap_or(Uuid::max())
}

/// A page from `limit + 1` items: whether there is one more says whether there is a next page.
fn paged<T>(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> Uuid) -> Paged<T> {
    let limit = limit as usize;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(id) } else { None };
    Paged { items, next }
}
