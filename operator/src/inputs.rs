//! What the pure part of the operator is given: the resources of a cluster, or
//! of a folder of manifests, without any client.

use std::collections::{BTreeMap, BTreeSet};

use agentapi_crds::tenant_config::TenantConfig;
use agentapi_crds::{McpServer, Organization, PromptPolicy};
use k8s_openapi::api::core::v1::Secret;

/// Everything that the desired state follows from.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// All organizations.
    pub organizations: Vec<Organization>,
    /// All MCP servers, of any namespace.
    pub servers: Vec<McpServer>,
    /// All prompt policies, of any namespace.
    pub prompts: Vec<PromptPolicy>,
    /// What may be known about Secrets.
    pub secrets: Secrets,
    /// Live documents by organization. Empty where nothing has run yet.
    pub live: BTreeMap<String, TenantConfig>,
}

/// What may be known about a Secret without knowing its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretMetadata {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Name of the Secret.
    pub name: String,
    /// `type` of the Secret, for example `Opaque`.
    pub secret_type: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Keys of the data.
    pub keys: BTreeSet<String>,
    /// Version; empty outside of a cluster.
    pub resource_version: String,
}

/// Type of a Secret that states none (Kubernetes' own default).
const OPAQUE: &str = "Opaque";

impl From<&Secret> for SecretMetadata {
    fn from(secret: &Secret) -> Self {
        let data = secret.data.iter().flat_map(BTreeMap::keys);
        let string_data = secret.string_data.iter().flat_map(BTreeMap::keys);
        Self {
            namespace: secret.metadata.namespace.clone().unwrap_or_default(),
            name: secret.metadata.name.clone().unwrap_or_default(),
            secret_type: secret.type_.clone().unwrap_or_else(|| OPAQUE.to_owned()),
            labels: secret.metadata.labels.clone().unwrap_or_default(),
            annotations: secret.metadata.annotations.clone().unwrap_or_default(),
            keys: data.chain(string_data).cloned().collect(),
            resource_version: secret.metadata.resource_version.clone().unwrap_or_default(),
        }
    }
}

impl SecretMetadata {
    /// Whether the Secret is of the type that credentials must have.
    pub fn is_opaque(&self) -> bool {
        self.secret_type == OPAQUE
    }
}

/// Secrets by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<(String, String), SecretMetadata>);

impl Secrets {
    /// The Secret of that namespace and name, if it is known.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&SecretMetadata> {
        self.0.get(&(namespace.to_owned(), name.to_owned()))
    }
}

impl FromIterator<SecretMetadata> for Secrets {
    fn from_iter<I: IntoIterator<Item = SecretMetadata>>(secrets: I) -> Self {
        let keyed = secrets
            .into_iter()
            .map(|secret| ((secret.namespace.clone(), secret.name.clone()), secret));
        Self(keyed.collect())
    }
}
