//! What was created under which key. Read and written in the creating
//! transaction, under its lock of the user: of requests at the same time one
//! creates, and the others find what it created.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Transaction;
use crate::store::{IdempotencyKey, StoreError, TenantId};

/// How long a create may be repeated: a day, in microseconds.
const REMEMBERED: i64 = 24 * 3600 * 1_000_000;

/// As for sessions: what a user left behind goes when the user comes back.
const REMOVE_EXPIRED: &str =
    "DELETE FROM idempotency_keys WHERE tenant_id = $1 AND user_id = $2 AND expires_at <= $3";

const GET: &str = "SELECT fingerprint, created FROM idempotency_keys \
     WHERE tenant_id = $1 AND user_id = $2 AND operation = $3 AND key = $4";

const INSERT: &str = "INSERT INTO idempotency_keys \
     (tenant_id, user_id, operation, key, fingerprint, created, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// One create that may be repeated.
pub(super) struct Once<'a> {
    pub(super) tenant: TenantId,
    pub(super) user: &'a str,
    pub(super) operation: &'static str,
    pub(super) key: &'a IdempotencyKey,
    pub(super) now: i64,
}

impl Once<'_> {
    /// What an earlier request created under the key.
    pub(super) async fn earlier<T: DeserializeOwned>(
        &self,
        transaction: &mut impl Transaction,
    ) -> Result<Option<T>, StoreError> {
        let of_user = [self.tenant.into(), self.user.into(), self.now.into()];
        transaction.execute(REMOVE_EXPIRED, &of_user).await?;
        let of_key = [
            self.tenant.into(),
            self.user.into(),
            self.operation.into(),
            (&self.key.key).into(),
        ];
        let found: Option<(Vec<u8>, String)> = transaction.rows(GET, &of_key).await?.pop();
        let Some((fingerprint, created)) = found else {
            return Ok(None);
        };
        if fingerprint != self.key.fingerprint {
            return Err(StoreError::IdempotencyKeyReused);
        }
        let created = serde_json::from_str(&created);
        created
            .map(Some)
            .map_err(|error| StoreError::corrupt("idempotency key", error))
    }

    /// Keeps what was created now. It must hold no secret.
    pub(super) async fn remember(
        &self,
        transaction: &mut impl Transaction,
        created: &impl Serialize,
    ) -> Result<(), StoreError> {
        let created = serde_json::to_value(created)
            .map_err(|error| StoreError::corrupt("idempotency key", error))?;
        let values = [
            self.tenant.into(),
            self.user.into(),
            self.operation.into(),
            (&self.key.key).into(),
            super::Value::Bytes(Some(&self.key.fingerprint)),
            (&created).into(),
            (self.now + REMEMBERED).into(),
        ];
        transaction.execute(INSERT, &values).await?;
        Ok(())
    }
}
