//! References to Secrets: a name and keys, never a namespace.
//!
//! Where a reference resolves follows from the kind that holds it: an
//! `McpServer`'s in its own namespace, an `Organization`'s in
//! [`crate::names::CREDENTIALS_NAMESPACE`]. A namespace field would let a
//! tenant name another's Secret.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Key that a [`SecretKeyRef`] reads when it names none.
pub const DEFAULT_SECRET_KEY: &str = "value";
/// Key of the OAuth client identifier that a [`ClientRef`] reads when it names none.
pub const DEFAULT_CLIENT_ID_KEY: &str = "clientId";
/// Key of the OAuth client secret that a [`ClientRef`] reads when it names none.
pub const DEFAULT_CLIENT_SECRET_KEY: &str = "clientSecret";

fn default_secret_key() -> String {
    DEFAULT_SECRET_KEY.to_owned()
}

fn default_client_id_key() -> String {
    DEFAULT_CLIENT_ID_KEY.to_owned()
}

fn default_client_secret_key() -> String {
    DEFAULT_CLIENT_SECRET_KEY.to_owned()
}

/// One key of an Opaque Secret labelled `agentapi.dev/use: credential`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret. It must be of type Opaque and carry the label `agentapi.dev/use: credential`.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Key in the Secret's data. Default `value`.
    #[serde(default = "default_secret_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// An OAuth 2.0 client registration kept in one Opaque Secret labelled `agentapi.dev/use: credential`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClientRef {
    /// Name of the Secret. It must be of type Opaque and carry the label `agentapi.dev/use: credential`.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Key of the client identifier in the Secret's data. Default `clientId`.
    #[serde(default = "default_client_id_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub id_key: String,
    /// Key of the client secret in the Secret's data. Default `clientSecret`. A Secret without this key means a public client.
    #[serde(default = "default_client_secret_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub secret_key: String,
}
