//! From an API key to a caller.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use moka::future::Cache;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::api_key::Presented;
use super::{AuthError, Caller};
use crate::domain::access::{Right, Rights};
use crate::store::{ApiKeyStore, HashedApiKey, StoreError, TenantId};
use crate::tenants::{Tenant, Tenants};

/// How long a key is believed without asking the store: a key revoked through
/// another replica ends here within this time.
const FRESH: Duration = Duration::from_secs(3);
/// Most keys, known and unknown ones, that are remembered.
const MOST: u64 = 100_000;
/// Most look-ups at once for one organization: whoever invents keys of it keeps
/// neither the database nor another organization busy.
const LOOKUPS: usize = 4;

/// Verifies API keys. Cloning is cheap.
#[derive(Clone)]
pub(super) struct ApiKeys {
    store: Arc<dyn ApiKeyStore>,
    /// What the store said, `None` for keys that it does not know.
    known: Cache<(TenantId, Uuid), Option<Arc<HashedApiKey>>>,
    lookups: Cache<TenantId, Arc<Semaphore>>,
}

impl ApiKeys {
    pub(super) fn new(store: Arc<dyn ApiKeyStore>) -> Self {
        Self {
            store,
            known: Cache::builder()
                .max_capacity(MOST)
                .time_to_live(FRESH)
                .build(),
            lookups: Cache::new(MOST),
        }
    }

    /// The caller that a key stands for. Every key that is none gets the same answer.
    pub(super) async fn verify(&self, tenants: &Tenants, token: &str) -> Result<Caller, AuthError> {
        let presented = Presented::read(token).ok_or(AuthError::ApiKey)?;
        let tenant = tenants
            .get(presented.organization)
            .ok_or(AuthError::ApiKey)?;
        let stored = self.stored(tenant.id, presented.id).await?;
        let stored = stored.ok_or(AuthError::ApiKey)?;
        let fits = bool::from(presented.hash(tenant.id).ct_eq(&stored.hash));
        if !fits || stored.key.expires_at <= Timestamp::now() {
            return Err(AuthError::ApiKey);
        }
        Ok(caller(tenant, &stored))
    }

    /// Forgets what is known of a key: this replica asks again at once.
    pub(super) async fn forget(&self, tenant: TenantId, id: Uuid) {
        self.known.invalidate(&(tenant, id)).await;
    }

    async fn stored(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<Arc<HashedApiKey>>, AuthError> {
        let look_up = async {
            let turn = self
                .lookups
                .get_with(tenant, async { Arc::new(Semaphore::new(LOOKUPS)) })
                .await;
            // Never closed: an error would only mean that nobody counts.
            let _turn = turn.acquire().await.ok();
            let found = self.store.api_key(tenant, id).await?;
            Ok(found.map(Arc::new))
        };
        let known = self.known.try_get_with((tenant, id), look_up).await;
        known.map_err(|error: Arc<StoreError>| AuthError::Store(error))
    }
}

/// Acts as the key's user, with what its scopes leave of the user's rights.
fn caller(tenant: Arc<Tenant>, stored: &HashedApiKey) -> Caller {
    let key = &stored.key;
    // A scope that this build does not know gives nothing.
    let scopes: Rights = key
        .scopes
        .iter()
        .filter_map(|scope| scope.parse().ok())
        .filter(|right: &Right| right.is_grantable())
        .collect();
    Caller::new(tenant, key.user.as_str().into(), key.roles.clone().into()).by_key(key.id, scopes)
}

#[cfg(test)]
#[path = "api_keys_tests.rs"]
mod tests;
