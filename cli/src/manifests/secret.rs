//! A Secret of a manifest: what may be known of it, and its values apart.

use std::collections::BTreeMap;

use agentapi_operator::SecretMetadata;
use k8s_openapi::api::core::v1::Secret;
use secrecy::{ExposeSecret, SecretSlice};

/// A Secret that can be printed without its values.
#[derive(Clone, Debug)]
pub(crate) struct ManifestSecret {
    /// What the operator's pure part may know.
    pub(crate) metadata: SecretMetadata,
    /// Values by key.
    pub(crate) values: BTreeMap<String, SecretSlice<u8>>,
}

impl ManifestSecret {
    /// Whether two Secrets hold the same values.
    pub(crate) fn same_values(&self, other: &Self) -> bool {
        let exposed = |(key, value): (&String, &SecretSlice<u8>)| {
            (key.clone(), value.expose_secret().to_vec())
        };
        self.values
            .iter()
            .map(exposed)
            .eq(other.values.iter().map(exposed))
    }
}

impl From<Secret> for ManifestSecret {
    /// `stringData` wins over `data`, as in Kubernetes.
    fn from(secret: Secret) -> Self {
        let metadata = SecretMetadata::from(&secret);
        let data = secret
            .data
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key, value.0));
        let text = secret.string_data.unwrap_or_default().into_iter();
        let text = text.map(|(key, value)| (key, value.into_bytes()));
        let values = data
            .chain(text)
            .map(|(key, value)| (key, SecretSlice::from(value)));
        Self {
            metadata,
            values: values.collect(),
        }
    }
}
