//! Documents and secrets of a cluster: the ConfigMaps that the operator writes
//! and the Secrets that they refer to.

use std::collections::BTreeSet;
use std::pin::pin;

use agentapi_crds::names;
use agentapi_crds::tenant_config::SecretReference;
use async_trait::async_trait;
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_objects};
use kube::{Api, Client, ResourceExt};
use secrecy::SecretString;
use tokio::sync::watch;

use super::{InstallError, Installer};
use crate::telemetry::chain;
use crate::upstream::{SecretError, Secrets};

/// Why a ConfigMap was not put into service.
#[derive(Debug, thiserror::Error)]
enum DocumentError {
    #[error("its name is not {}…", names::tenant_config_map(""))]
    Name,
    #[error(
        "its label {} is {found:?}, its name says {expected:?}",
        names::ORGANIZATION_LABEL
    )]
    Label { expected: String, found: String },
    #[error("its document is for organization {found:?}, its name says {expected:?}")]
    Content { expected: String, found: String },
    #[error("it has no key {}", names::TENANT_CONFIG_KEY)]
    NoDocument,
    #[error("it cannot be read")]
    Read(#[from] agentapi_crds::tenant_config::TenantConfigError),
    #[error("it cannot be used")]
    Install(#[from] InstallError),
    #[error("its compilation was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Keeps organizations equal to the ConfigMaps, for as long as it is polled.
/// `synced` becomes true once all of them have been seen.
pub async fn follow(client: Client, installer: Installer, synced: watch::Sender<bool>) {
    let documents: Api<ConfigMap> = Api::namespaced(client, names::TENANTS_NAMESPACE);
    let labelled = format!("{}=true", names::TENANT_CONFIG_LABEL);
    let wanted = watcher::Config::default()
        .labels(&labelled)
        .streaming_lists();
    let mut events = pin!(watch_objects(documents, wanted).default_backoff());
    let mut seen = BTreeSet::new();
    loop {
        match events.try_next().await {
            Ok(Some(Event::Init)) => seen.clear(),
            Ok(Some(Event::InitApply(document))) => {
                seen.extend(organization_of(&document));
                apply(&installer, document).await;
            }
            Ok(Some(Event::InitDone)) => {
                installer.retain(&seen);
                synced.send_replace(true);
            }
            Ok(Some(Event::Apply(document))) => apply(&installer, document).await,
            Ok(Some(Event::Delete(document))) => {
                if let Some(organization) = organization_of(&document) {
                    installer.remove(&organization);
                }
            }
            Ok(None) => return,
            // The stream goes on by itself, after a while.
            Err(error) => tracing::warn!(error = chain(&error), "watching TenantConfigs failed"),
        }
    }
}

/// Puts one ConfigMap into service, or reports why not and keeps what is there.
async fn apply(installer: &Installer, document: ConfigMap) {
    let name = document.name_any();
    let (organization, revision) = (organization_of(&document), stated_revision(&document));
    if let Err(error) = install(installer, document).await {
        let error = chain(&error);
        if let Some(organization) = organization {
            installer.report_refusal(&organization, revision, &error);
        }
        tracing::error!(
            config_map = name,
            error,
            "TenantConfig refused; the previous one stays in use"
        );
    }
}

async fn install(installer: &Installer, document: ConfigMap) -> Result<(), DocumentError> {
    let installer = installer.clone();
    let installed = tokio::task::spawn_blocking(move || {
        let config = agreed(&document).inspect_err(|_| installer.count_refusal())?;
        Ok(installer.install(config)?)
    });
    installed.await?
}

/// The document of a ConfigMap, if name, label and content name the same organization.
fn agreed(
    document: &ConfigMap,
) -> Result<agentapi_crds::tenant_config::TenantConfig, DocumentError> {
    let expected = organization_of(document).ok_or(DocumentError::Name)?;
    let label = document
        .labels()
        .get(names::ORGANIZATION_LABEL)
        .cloned()
        .unwrap_or_default();
    if label != expected {
        return Err(DocumentError::Label {
            expected,
            found: label,
        });
    }
    let data = document
        .data
        .as_ref()
        .and_then(|data| data.get(names::TENANT_CONFIG_KEY));
    let config =
        agentapi_crds::tenant_config::TenantConfig::read(data.ok_or(DocumentError::NoDocument)?)?;
    if config.organization != expected {
        return Err(DocumentError::Content {
            expected,
            found: config.organization,
        });
    }
    Ok(config)
}

/// The revision that a document states, whether or not the rest of it can be read.
fn stated_revision(document: &ConfigMap) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Head {
        revision: String,
    }
    let text = document.data.as_ref()?.get(names::TENANT_CONFIG_KEY)?;
    let head: Head = serde_json::from_str(text).ok()?;
    Some(head.revision)
}

/// The organization that the name of a ConfigMap says.
fn organization_of(document: &ConfigMap) -> Option<String> {
    let prefix = names::tenant_config_map("");
    let organization = document.metadata.name.as_deref()?.strip_prefix(&prefix)?;
    (!organization.is_empty()).then(|| organization.to_owned())
}

/// Secrets of a cluster, read when they are needed and never kept here.
#[derive(Clone)]
pub struct KubernetesSecrets {
    client: Client,
}

/// The Secret is not the one that the document was validated with.
#[derive(Debug, thiserror::Error)]
#[error("Secret {namespace}/{name} changed a moment ago: the operator has yet to validate it")]
struct Changed {
    namespace: String,
    name: String,
}

impl KubernetesSecrets {
    /// Reads by this client's rights: exactly the named Secrets, by the Role that the operator keeps.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Secrets for KubernetesSecrets {
    async fn read(&self, reference: &SecretReference) -> Result<SecretString, SecretError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &reference.namespace);
        let found = secrets.get_opt(&reference.name).await;
        let secret = found.map_err(|error| SecretError::Unavailable(error.into()))?;
        value(reference, secret)
    }
}

/// The value that a reference names. A Secret of another version may be labelled
/// or bound to hosts differently than what was validated, so it is not used.
fn value(reference: &SecretReference, secret: Option<Secret>) -> Result<SecretString, SecretError> {
    let SecretReference {
        namespace,
        name,
        key,
        resource_version,
    } = reference.clone();
    let Some(secret) = secret else {
        return Err(SecretError::Missing {
            namespace,
            name,
            key,
        });
    };
    if secret.resource_version().as_deref() != Some(&resource_version) {
        return Err(SecretError::Unavailable(Changed { namespace, name }.into()));
    }
    match secret.data.unwrap_or_default().remove(&key) {
        None => Err(SecretError::Missing {
            namespace,
            name,
            key,
        }),
        Some(bytes) => String::from_utf8(bytes.0)
            .map(SecretString::from)
            .map_err(|_| SecretError::NotText {
                namespace,
                name,
                key,
            }),
    }
}

#[cfg(test)]
#[path = "kubernetes_tests.rs"]
mod tests;
