//! Clients of the API server, and the resources that both measurements create.

use std::path::Path;

use agentapi_crds::{McpServer, Organization, PromptPolicy};
use anyhow::{Context, Result};
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};

use super::scene::Tenant;

/// A client with the rights of a kubeconfig.
pub(super) async fn client(kubeconfig: &Path) -> Result<Client> {
    Ok(Client::try_from(configuration(kubeconfig).await?)?)
}

/// A client that the admission policies let do everything.
pub(super) async fn break_glass(kubeconfig: &Path) -> Result<Client> {
    let mut config = configuration(kubeconfig).await?;
    config.auth_info.impersonate = Some("bench".to_owned());
    config.auth_info.impersonate_groups = Some(vec![
        "system:masters".to_owned(),
        "agentapi:break-glass".to_owned(),
    ]);
    Ok(Client::try_from(config)?)
}

async fn configuration(kubeconfig: &Path) -> Result<kube::Config> {
    let read = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("{} cannot be used", kubeconfig.display()))?;
    Ok(kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?)
}

/// Creates an organization as its platform engineer, and returns it with its UID.
pub(super) async fn create_organization(client: &Client, tenant: &Tenant) -> Result<Organization> {
    let organizations: Api<Organization> = Api::all(client.clone());
    Ok(organizations
        .create(&PostParams::default(), &tenant.organization)
        .await?)
}

/// Creates an organization's servers and prompt policy as its admin. Its namespace must be there.
pub(super) async fn create_members(client: &Client, tenant: &Tenant) -> Result<()> {
    let servers: Api<McpServer> = Api::namespaced(client.clone(), &tenant.namespace);
    for server in &tenant.servers {
        servers.create(&PostParams::default(), server).await?;
    }
    let prompts: Api<PromptPolicy> = Api::namespaced(client.clone(), &tenant.namespace);
    prompts
        .create(&PostParams::default(), &tenant.prompt)
        .await?;
    Ok(())
}
