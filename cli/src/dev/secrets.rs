//! Secrets of the manifests, as the gateway reads them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use agentapi_crds::tenant_config::SecretReference;
use agentapi_gateway::upstream::{SecretError, Secrets};
use agentapi_operator::SecretMetadata;
use secrecy::{ExposeSecret, SecretString};

use crate::manifests::ManifestSecret;

/// The Secrets of the manifests in force. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(super) struct ManifestSecrets {
    current: Arc<RwLock<BTreeMap<Name, Versioned>>>,
}

/// Namespace and name.
type Name = (String, String);

#[derive(Debug)]
struct Versioned {
    secret: ManifestSecret,
    version: u64,
}

impl ManifestSecrets {
    /// Puts Secrets in the place of all that were there. Returns what may be
    /// known of them, with a version that changes whenever a value does.
    pub(super) fn replace(&self, secrets: Vec<ManifestSecret>) -> agentapi_operator::Secrets {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let versioned = secrets.into_iter().map(|mut secret| {
            let name = (
                secret.metadata.namespace.clone(),
                secret.metadata.name.clone(),
            );
            let version = match current.get(&name) {
                Some(known) if known.secret.same_values(&secret) => known.version,
                Some(known) => known.version + 1,
                None => 1,
            };
            secret.metadata.resource_version = version.to_string();
            (name, Versioned { secret, version })
        });
        let versioned: BTreeMap<_, _> = versioned.collect();
        let metadata: Vec<SecretMetadata> = versioned
            .values()
            .map(|versioned| versioned.secret.metadata.clone())
            .collect();
        *current = versioned;
        metadata.into_iter().collect()
    }
}

#[async_trait::async_trait]
impl Secrets for ManifestSecrets {
    async fn read(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        let SecretReference {
            namespace,
            name,
            key,
            ..
        } = reference.clone();
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let secret = current.get(&(namespace.clone(), name.clone()));
        let Some(value) = secret.and_then(|known| known.secret.values.get(&key)) else {
            return Err(SecretError::Missing {
                namespace,
                name,
                key,
            });
        };
        match std::str::from_utf8(value.expose_secret()) {
            Ok(text) => Ok(SecretString::from(text)),
            Err(_) => Err(SecretError::NotText {
                namespace,
                name,
                key,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(value: &str) -> ManifestSecret {
        let metadata = SecretMetadata {
            namespace: "n".to_owned(),
            name: "s".to_owned(),
            ..Default::default()
        };
        let values = BTreeMap::from([("token".to_owned(), value.as_bytes().to_vec().into())]);
        ManifestSecret { metadata, values }
    }

    fn version(secrets: &agentapi_operator::Secrets) -> String {
        secrets.get("n", "s").unwrap().resource_version.clone()
    }

    #[test]
    fn the_version_changes_exactly_when_a_value_does() {
        let secrets = ManifestSecrets::default();
        let versions = ["a", "a", "b"].map(|value| version(&secrets.replace(vec![secret(value)])));
        assert_eq!(versions, ["1", "1", "2"]);
    }

    #[test]
    fn values_are_not_printed() {
        let secrets = ManifestSecrets::default();
        secrets.replace(vec![secret("hush")]);
        let printed = format!("{secrets:?}");
        assert!(
            !printed.contains("hush") && !printed.contains("104"),
            "{printed}"
        );
    }
}
