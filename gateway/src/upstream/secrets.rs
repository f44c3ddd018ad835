//! Where credentials for upstreams come from.

use agentapi_crds::tenant_config::SecretReference;
use async_trait::async_trait;
use secrecy::SecretString;

use crate::encryption::DecryptError;

/// Why a credential cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The Secret, or the key in it, does not exist.
    #[error("Secret {namespace}/{name} has no key {key}")]
    Missing {
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// Key in the Secret.
        key: String,
    },
    /// The value is not text.
    #[error("the value of {key} in Secret {namespace}/{name} is not UTF-8")]
    NotText {
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// Key in the Secret.
        key: String,
    },
    /// The value cannot stand in a header field.
    #[error("the value of {key} in Secret {namespace}/{name} cannot be sent as a header field")]
    NotAHeader {
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// Key in the Secret.
        key: String,
    },
    /// The stored credential does not open.
    #[error("the stored credential cannot be opened")]
    Sealed(#[source] DecryptError),
    /// The Secret cannot be read now.
    #[error("Secrets cannot be read now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Reads the values that `TenantConfig` only refers to.
#[async_trait]
pub trait Secrets: Send + Sync + 'static {
    /// The value at a reference.
    async fn read(&self, reference: &SecretReference) -> Result<SecretString, SecretError>;
}
