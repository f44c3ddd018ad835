//! Step 1: what an organization's desired state follows from, as it is now.

use std::sync::Arc;

use agentapi_crds::tenant_config::TenantConfig;
use agentapi_crds::{McpServer, Organization, PromptPolicy, names};
use kube::ResourceExt;

use super::assess::View;
use super::names::{namespace_of, owner_of};
use crate::apply::WriteError;
use crate::context::Context;
use crate::inputs::Secrets;
use crate::object::Kind;
use crate::settings::Settings;

/// What was observed. [`Observed::assess`] borrows it for the pure steps.
pub(super) struct Observed {
    all: Vec<Arc<Organization>>,
    servers: Vec<Arc<McpServer>>,
    prompts: Vec<Arc<PromptPolicy>>,
    secrets: Secrets,
    live: Option<TenantConfig>,
}

pub(super) async fn observe(
    organization: &Organization,
    context: &Context,
) -> Result<Observed, WriteError> {
    let namespace = namespace_of(organization);
    let platform = context.settings.platform_namespace.as_str();
    let servers = context
        .caches
        .servers
        .state_filter(|server| server.namespace().as_deref() == Some(namespace.as_str()));
    let prompts = context.caches.prompts.state_filter(|policy| {
        let found = policy.namespace();
        found.as_deref() == Some(namespace.as_str()) || found.as_deref() == Some(platform)
    });
    let secrets = context
        .secrets
        .of(&namespace, servers.iter().map(Arc::as_ref))
        .await?;
    Ok(Observed {
        all: context.caches.organizations.state(),
        servers,
        prompts,
        secrets,
        live: live_document(organization, context).await?,
    })
}

/// The document that is served now. One that was changed by others, or that
/// belongs to an organization of the same name before this one, says nothing.
async fn live_document(
    organization: &Organization,
    context: &Context,
) -> Result<Option<TenantConfig>, WriteError> {
    let name = names::tenant_config_map(&organization.name_any());
    let map = context
        .writer
        .get_owned(
            Kind::ConfigMap,
            Some(names::TENANTS_NAMESPACE),
            &name,
            &owner_of(organization),
        )
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
    /// Hands what was observed to a pure function.
    pub(super) fn assess<T>(
        &self,
        organization: &Organization,
        settings: &Settings,
        assess: impl FnOnce(&View<'_>) -> T,
    ) -> T {
        let all: Vec<_> = self.all.iter().map(Arc::as_ref).collect();
        let servers: Vec<_> = self.servers.iter().map(Arc::as_ref).collect();
        let prompts: Vec<_> = self.prompts.iter().map(Arc::as_ref).collect();
        assess(&View {
            organization,
            all: &all,
            servers: &servers,
            prompts: &prompts,
            secrets: &self.secrets,
            live: self.live.as_ref(),
            settings,
        })
    }
}
