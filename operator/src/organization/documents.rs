//! The documents that organizations are served from, as this replica wrote
//! them. Only the leader writes them, so what it wrote is what is served.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use agentapi_crds::tenant_config::TenantConfig;

/// Documents by the organization's UID. `None`: there is no usable one.
#[derive(Default)]
pub struct Documents(Mutex<HashMap<String, Option<Arc<TenantConfig>>>>);

impl Documents {
    /// What is known of an organization's document; nothing before it was read once.
    pub(super) fn get(&self, uid: &str) -> Option<Option<Arc<TenantConfig>>> {
        let documents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        documents.get(uid).cloned()
    }

    /// Remembers what was read or written.
    pub(super) fn set(&self, uid: &str, document: Option<Arc<TenantConfig>>) {
        let mut documents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        documents.insert(uid.to_owned(), document);
    }

    /// Forgets an organization that is gone.
    pub(super) fn forget(&self, uid: &str) {
        let mut documents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        documents.remove(uid);
    }
}
