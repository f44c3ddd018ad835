//! Step 1: what an organization's desired state follows from, as it is now.

use std::collections::BTreeSet;
use std::sync::Arc;

use agentapi_crds::tenant_config::TenantConfig;
use agentapi_crds::{McpServer, Organization, PromptPolicy, names};
use kube::ResourceExt;

use super::assess::View;
use super::names::{namespace_of, owner_of, uid_of};
use super::takeover::predecessor;
use crate::apply::WriteError;
use crate::context::Context;
use crate::inputs::Secrets;
use crate::object::{Kind, Owner};
use crate::settings::Settings;
use crate::watch::Metadata;

/// What was observed. [`Observed::assess`] borrows it for the pure steps.
pub(super) struct Observed {
    rivals: Vec<Arc<Organization>>,
    servers: Vec<Arc<McpServer>>,
    prompts: Vec<Arc<PromptPolicy>>,
    secrets: Secrets,
    unreachable: BTreeSet<String>,
    live: Option<Arc<TenantConfig>>,
    /// The deleted organization whose namespace is taken over.
    pub(super) predecessor: Option<Owner>,
}

pub(super) async fn observe(
    organization: &Organization,
    context: &Context,
) -> Result<Observed, WriteError> {
    let namespace = namespace_of(organization);
    let platform = context.settings.platform_namespace.as_str();
    let servers = context.caches.servers.in_namespace(&namespace);
    let mut prompts = context.caches.prompts.in_namespace(platform);
    if namespace != platform {
        prompts.extend(context.caches.prompts.in_namespace(&namespace));
    }
    let secrets = context
        .secrets
        .of_organization(organization, &namespace, &servers)
        .await?;
    let live = live_document(organization, context).await?;
    if let Some(live) = &live {
        context.caches.claims.serve(&organization.name_any(), live);
    }
    Ok(Observed {
        rivals: context.rivals_of(organization),
        unreachable: without_service(organization, &namespace, &servers, context),
        servers,
        prompts,
        secrets,
        live,
        predecessor: find_predecessor(organization, &namespace, context),
    })
}

/// Names of the servers without a Service that was made for them.
fn without_service(
    organization: &Organization,
    namespace: &str,
    servers: &[Arc<McpServer>],
    context: &Context,
) -> BTreeSet<String> {
    let uid = uid_of(organization);
    let is_made_for = |service: &Metadata, server: &str| {
        let labels = service.labels();
        labels.get(names::ORGANIZATION_UID_LABEL) == Some(&uid)
            && labels.get(names::SERVER_LABEL).map(String::as_str) == Some(server)
    };
    let names = servers.iter().map(|server| server.name_any());
    names
        .filter(|name| {
            let service = context.owned.find(Kind::Service, Some(namespace), name);
            !service.is_some_and(|service| is_made_for(&service, name))
        })
        .collect()
}

fn find_predecessor(
    organization: &Organization,
    namespace: &str,
    context: &Context,
) -> Option<Owner> {
    let live = context.owned.find(Kind::Namespace, None, namespace)?;
    predecessor(organization, &live.metadata, |uid| {
        let all = context.caches.organizations.all();
        all.iter().any(|other| other.uid().as_deref() == Some(uid))
    })
}

/// The document that is served now: what this replica wrote, or at its start
/// what is there. One that was changed by others, or that belongs to an
/// organization of the same name before this one, says nothing.
async fn live_document(
    organization: &Organization,
    context: &Context,
) -> Result<Option<Arc<TenantConfig>>, WriteError> {
    let owner = owner_of(organization);
    if let Some(known) = context.documents.get(&owner.uid) {
        return Ok(known);
    }
    let document = read_document(organization, &owner, context).await?;
    let document = document.map(Arc::new);
    context.documents.set(&owner.uid, document.clone());
    Ok(document)
}

async fn read_document(
    organization: &Organization,
    owner: &Owner,
    context: &Context,
) -> Result<Option<TenantConfig>, WriteError> {
    let name = names::tenant_config_map(&organization.name_any());
    let place = Some(names::TENANTS_NAMESPACE);
    let status = organization.status.as_ref();
    let was_written = status.is_some_and(|status| status.revision.is_some());
    let is_seen = context.owned.find(Kind::ConfigMap, place, &name).is_some();
    if !was_written && !is_seen {
        return Ok(None);
    }
    let map = context
        .writer
        .get_owned(Kind::ConfigMap, place, &name, owner)
        .await?;
    let text = map
        .as_ref()
        .and_then(|map| map.data.get("data"))
        .and_then(|data| data.get(names::TENANT_CONFIG_KEY))
        .and_then(|text| text.as_str());
    Ok(text.and_then(|text| match TenantConfig::read(text) {
        Ok(document) => Some(document),
        Err(error) => {
            tracing::warn!(config_map = name, %error, "the live document is not used, and is written anew");
            None
        }
    }))
}

impl Observed {
    /// Whether the organization is served from a document already.
    pub(super) fn has_document(&self) -> bool {
        self.live.is_some()
    }

    /// Hands what was observed to a pure function.
    pub(super) fn assess<T>(
        &self,
        organization: &Organization,
        settings: &Settings,
        assess: impl FnOnce(&View<'_>) -> T,
    ) -> T {
        let rivals: Vec<_> = self.rivals.iter().map(Arc::as_ref).collect();
        let servers: Vec<_> = self.servers.iter().map(Arc::as_ref).collect();
        let prompts: Vec<_> = self.prompts.iter().map(Arc::as_ref).collect();
        assess(&View {
            organization,
            all: &rivals,
            servers: &servers,
            prompts: &prompts,
            secrets: &self.secrets,
            unreachable: &self.unreachable,
            live: self.live.as_deref(),
            settings,
        })
    }
}
