//! Reads what may be known about Secrets. Metadata comes from a watch; type
//! and keys need one read for each version, whose values are dropped at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use agentapi_crds::{McpServer, Organization, names};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};

use crate::apply::WriteError;
use crate::inputs::{SecretMetadata, Secrets};
use crate::mcp_server::secret_names;
use crate::organization::credential_names;
use crate::watch::Cache;

/// Reads what may be known about Secrets.
pub struct SecretReader {
    client: Client,
    labelled: Cache<PartialObjectMeta<Secret>>,
    known: Mutex<HashMap<(String, String), SecretMetadata>>,
}

impl SecretReader {
    /// A reader that knows present versions from `labelled`.
    pub fn new(client: Client, labelled: Cache<PartialObjectMeta<Secret>>) -> Self {
        Self {
            client,
            labelled,
            known: Mutex::default(),
        }
    }

    /// All Secrets that the servers of a namespace refer to, as far as they exist.
    ///
    /// # Errors
    /// When the API server refuses or fails a read.
    pub async fn of(
        &self,
        namespace: &str,
        servers: impl IntoIterator<Item = &McpServer>,
    ) -> Result<Secrets, WriteError> {
        let servers = servers.into_iter();
        let names: BTreeSet<&str> = servers
            .flat_map(|server| secret_names(&server.spec))
            .collect();
        Ok(self.named(namespace, names).await?.into_iter().collect())
    }

    /// All Secrets that an organization and its servers refer to, as far as they exist.
    ///
    /// # Errors
    /// When the API server refuses or fails a read.
    pub async fn of_organization(
        &self,
        organization: &Organization,
        namespace: &str,
        servers: &[Arc<McpServer>],
    ) -> Result<Secrets, WriteError> {
        let own = credential_names(&organization.spec).collect();
        let of_servers = servers.iter().flat_map(|server| secret_names(&server.spec));
        let mut secrets = self.named(names::CREDENTIALS_NAMESPACE, own).await?;
        secrets.extend(self.named(namespace, of_servers.collect()).await?);
        Ok(secrets.into_iter().collect())
    }

    async fn named(
        &self,
        namespace: &str,
        names: BTreeSet<&str>,
    ) -> Result<Vec<SecretMetadata>, WriteError> {
        let mut secrets = Vec::new();
        for name in names {
            secrets.extend(self.read(namespace, name).await?);
        }
        Ok(secrets)
    }

    /// Forgets the Secrets of a namespace whose organization is gone.
    pub(crate) fn forget(&self, namespace: &str) {
        let mut memory = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        memory.retain(|(place, _), _| place != namespace);
    }

    async fn read(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<SecretMetadata>, WriteError> {
        if let Some(known) = self.known(namespace, name) {
            return Ok(Some(known));
        }
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let secret = api
            .get_opt(name)
            .await
            .map_err(|source| WriteError::read(format!("Secret {namespace}/{name}"), source))?;
        let metadata = secret.as_ref().map(SecretMetadata::from);
        let mut memory = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.to_owned());
        match &metadata {
            Some(metadata) => memory.insert(key, metadata.clone()),
            None => memory.remove(&key),
        };
        Ok(metadata)
    }

    /// What was read before, if the watch still shows that version.
    fn known(&self, namespace: &str, name: &str) -> Option<SecretMetadata> {
        let watched = self.labelled.get(Some(namespace), name)?;
        let memory = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = memory.get(&(namespace.to_owned(), name.to_owned()))?;
        let is_current = watched.resource_version().as_ref() == Some(&known.resource_version);
        is_current.then(|| known.clone())
    }
}
