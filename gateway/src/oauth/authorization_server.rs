//! Which authorization server, client and resource a server's configuration means.

use std::sync::Arc;
use std::time::Duration;

use agentapi_crds::tenant_config::{AuthorizationServer, OAuthConfig, ServerConfig, ServerTarget};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{OAuth, OAuthError};
use crate::domain::oauth::{
    Metadata, Profile, ProtectedResource, authorization_server_documents,
    protected_resource_documents, resource_is_named,
};
use crate::tenants::Tenant;
use crate::upstream::HttpError;

/// Longest wait for a document, and its largest size.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_DOCUMENT: usize = 256 * 1024;
/// Path of the gateway's own client metadata document.
pub const CLIENT_DOCUMENT: &str = "/v1/oauth/client.json";

/// The authorization server of an MCP server, ready to be asked.
pub(super) struct Resolved {
    pub(super) metadata: Arc<Metadata>,
    pub(super) profile: Profile,
    /// Absent where the gateway names itself by a document.
    pub(super) client: Option<Client>,
    pub(super) scopes: Vec<String>,
    pub(super) resource: String,
    pub(super) resource_is_stated: bool,
}

/// The gateway's registration at an authorization server.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: Option<SecretString>,
}

impl Resolved {
    /// The parameter of token requests that names the resource (RFC 8707, section 2.2).
    pub(super) fn resource_parameter(&self) -> Option<(&'static str, &str)> {
        let name = self.profile.resource_parameter?;
        resource_is_named(name, self.resource_is_stated).then_some((name, &self.resource))
    }

    /// The client, if it is registered; otherwise the one that the gateway's own
    /// document describes.
    pub(super) fn client(&self, public_url: &str) -> Result<Client, OAuthError> {
        match &self.client {
            Some(client) => Ok(client.clone()),
            None if self.metadata.takes_client_documents => Ok(Client {
                id: format!("{public_url}{CLIENT_DOCUMENT}"),
                secret: None,
            }),
            None => Err(OAuthError::NoClient),
        }
    }
}

/// What of a server's settings its tokens are for. Whoever changes where the server
/// is, or who gives tokens for it, gets none of those that were given before.
pub(super) fn binding(config: &ServerConfig, oauth: &OAuthConfig) -> [u8; 32] {
    let parts = [
        endpoint(&config.target),
        serde_json::json!(oauth.authorization_server).to_string(),
        oauth.resource.clone().unwrap_or_default(),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The URL of a server: what its tokens are for unless something else is stated.
fn endpoint(target: &ServerTarget) -> String {
    match target {
        ServerTarget::Remote { url, .. } => url.clone(),
        ServerTarget::InCluster {
            namespace,
            service,
            port,
            path,
            ..
        } => format!("http://{service}.{namespace}.svc:{port}{path}"),
        ServerTarget::Process { .. } => String::new(),
    }
}

impl OAuth {
    /// Finds the authorization server of an MCP server, and the gateway's registration there.
    pub(super) async fn resolve(
        &self,
        tenant: &Tenant,
        config: &ServerConfig,
    ) -> Result<Resolved, OAuthError> {
        let oauth = config.oauth.as_ref().ok_or(OAuthError::NotOAuth)?;
        let server = &oauth.authorization_server;
        let own = endpoint(&config.target);
        let metadata = match Metadata::published(server) {
            Some(metadata) => Arc::new(metadata),
            None => self.discover(tenant, server, &own).await?,
        };
        let client = match &oauth.client {
            None => None,
            Some(reference) => {
                let secrets = &self.parts().secrets;
                let id = secrets.read(&reference.id).await?;
                let secret = match &reference.secret {
                    None => None,
                    Some(secret) => {
                        let host = metadata.token_endpoint.host_str().unwrap_or_default();
                        let allowed = &reference.allowed_hosts;
                        if !allowed.is_empty() && !allowed.iter().any(|allowed| allowed == host) {
                            return Err(OAuthError::Host(host.to_owned()));
                        }
                        Some(trimmed(&secrets.read(secret).await?))
                    }
                };
                let id = trimmed(&id).expose_secret().to_owned();
                Some(Client { id, secret })
            }
        };
        Ok(Resolved {
            metadata,
            profile: Profile::of(server),
            client,
            scopes: oauth.scopes.clone(),
            resource: oauth.resource.clone().unwrap_or(own),
            resource_is_stated: oauth.resource.is_some(),
        })
    }

    async fn discover(
        &self,
        tenant: &Tenant,
        server: &AuthorizationServer,
        resource: &str,
    ) -> Result<Arc<Metadata>, OAuthError> {
        match server {
            AuthorizationServer::Auth0 { domain } => {
                self.issuer(tenant, &format!("https://{domain}/")).await
            }
            AuthorizationServer::Mcp { issuer } => {
                let issuer = self.named_by(tenant, resource, issuer.as_deref()).await?;
                self.issuer(tenant, &issuer).await
            }
            AuthorizationServer::Oidc { issuer } => self.issuer(tenant, issuer).await,
            AuthorizationServer::GitHub
            | AuthorizationServer::Google
            | AuthorizationServer::Azure { .. } => Err(OAuthError::NotOAuth),
        }
    }

    /// The metadata of an issuer, from the first place that has it.
    pub(super) async fn issuer(
        &self,
        tenant: &Tenant,
        issuer: &str,
    ) -> Result<Arc<Metadata>, OAuthError> {
        let key = (tenant.id, issuer.to_owned());
        if let Some(known) = self.0.discovered.get(&key).await {
            return Ok(known);
        }
        let mut last = None;
        for url in authorization_server_documents(issuer) {
            match tenant.http.get(url.as_str(), MAX_DOCUMENT, PATIENCE).await {
                Ok(document) => {
                    let metadata = Arc::new(Metadata::read(&document, issuer)?);
                    self.0.discovered.insert(key, metadata.clone()).await;
                    return Ok(metadata);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(not_found(issuer, last))
    }

    /// The issuer that an MCP server names (RFC 9728).
    async fn named_by(
        &self,
        tenant: &Tenant,
        resource: &str,
        configured: Option<&str>,
    ) -> Result<String, OAuthError> {
        let mut last = None;
        for (url, of) in protected_resource_documents(resource) {
            match tenant.http.get(url.as_str(), MAX_DOCUMENT, PATIENCE).await {
                Ok(document) => {
                    let document = ProtectedResource::read(&document, &of)?;
                    return Ok(document.authorization_server(configured)?.to_owned());
                }
                Err(error) => last = Some(error),
            }
        }
        Err(not_found(resource, last))
    }
}

fn not_found(subject: &str, source: Option<HttpError>) -> OAuthError {
    OAuthError::NotFound {
        subject: subject.to_owned(),
        source,
    }
}

/// A file made with an editor ends with a line feed.
fn trimmed(text: &SecretString) -> SecretString {
    text.expose_secret().trim_end().to_owned().into()
}
