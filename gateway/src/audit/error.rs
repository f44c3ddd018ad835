//! Why something could not be recorded.

use std::sync::Arc;

use crate::store::StoreError;

/// Why something could not be recorded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuditError {
    /// The record cannot be written now: the act must not begin, or its reply
    /// must not be released. Maps to 503.
    #[error("the audit record cannot be written now")]
    Unavailable(#[source] Arc<StoreError>),
    /// The system gives no random bytes for the commitments. Maps to 503.
    #[error("the system's random generator failed")]
    Random,
    /// The gateway is shutting down and takes no more records. Maps to 503.
    #[error("the audit record is closed: the gateway is shutting down")]
    Closed,
}
