//! The outbox: events that are to be sent to organizations' sinks, and those that could not be.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Page, Paged, StoreError, TenantId};
use crate::domain::audit::Record;

/// An event that is to be sent to one sink; written with its record
/// ([`AuditBatch`](super::AuditBatch)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Whose event it is.
    pub tenant: TenantId,
    /// UUIDv7, which the receiver knows the message by.
    pub id: Uuid,
    /// Name of the sink.
    pub sink: Arc<str>,
    /// The record that it tells of.
    pub record: Uuid,
}

/// An event that somebody has taken to send it.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// What the receiver knows the message by.
    pub id: Uuid,
    /// Attempts, this one included. Nobody else has taken it while this is the number.
    pub attempts: u32,
    /// When the event happened.
    pub created_at: Timestamp,
    /// What it tells of; nothing if the record is gone.
    pub record: Option<Record>,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The receiver has it.
    Delivered,
    /// It is sent again.
    Again {
        /// After this pause.
        pause: Duration,
        /// Why it was not delivered, for people.
        error: String,
    },
    /// It becomes a dead letter.
    Dead {
        /// Why it was not delivered, for people.
        error: String,
    },
}

/// An event that could not be delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// What the receiver would know the message by.
    pub id: Uuid,
    /// Name of the sink.
    pub sink: String,
    /// When the event happened.
    pub created_at: Timestamp,
    /// When it was given up.
    pub dead_at: Timestamp,
    /// Attempts that were made.
    pub attempts: u32,
    /// Why the last one failed.
    pub last_error: String,
    /// What it tells of; nothing if the record is gone.
    pub record: Option<Record>,
}

/// The outbox.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// The sinks, of all tenants, for which something is due.
    async fn due_sinks(&self) -> Result<Vec<(TenantId, String)>, StoreError>;

    /// Takes up to `limit` due events of one sink, oldest first. Nobody else can take
    /// them before `patience` is over: by then they must be settled.
    async fn take_deliveries(
        &self,
        tenant: TenantId,
        sink: &str,
        patience: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Notes what became of an attempt; `false` if somebody else has taken the event since.
    async fn settle_delivery(
        &self,
        tenant: TenantId,
        id: Uuid,
        attempts: u32,
        settlement: &Settlement,
    ) -> Result<bool, StoreError>;

    /// Dead letters, newest first.
    async fn list_dead_letters(
        &self,
        tenant: TenantId,
        page: Page,
    ) -> Result<Paged<DeadLetter>, StoreError>;

    /// One dead letter.
    async fn dead_letter(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<DeadLetter>, StoreError>;

    /// Makes a dead letter due again, with as many attempts as a new event; `false` if
    /// there is none of that id.
    async fn replay_dead_letter(&self, tenant: TenantId, id: Uuid) -> Result<bool, StoreError>;

    /// Removes a dead letter; `false` if there is none of that id.
    async fn discard_dead_letter(&self, tenant: TenantId, id: Uuid) -> Result<bool, StoreError>;
}
