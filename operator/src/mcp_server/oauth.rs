//! How tokens for a server are had of an authorization server.

use agentapi_crds::mcp_server::{OAuthAuth, OAuthProvider};
use agentapi_crds::tenant_config::{AuthorizationServer, OAuthClientReference, OAuthConfig};
use agentapi_crds::{ClientRef, McpServerSpec, SecretKeyRef};

use super::credentials::{self, Destination, allowed_hosts};
use super::validated::Surroundings;
use crate::problem::Problem;

/// Field of all problems here.
const FIELD: &str = "spec.auth.oauth";
/// Host of GitHub's token endpoint.
const GITHUB: &str = "github.com";
/// Host of Google's token endpoint.
const GOOGLE: &str = "oauth2.googleapis.com";
/// Host of Microsoft Entra's token endpoint.
const AZURE: &str = "login.microsoftonline.com";

/// What the schema's rules leave to check: where those were passed by, and what they cannot say.
pub(super) fn check(spec: &McpServerSpec, problems: &mut Vec<Problem>) {
    let Some(oauth) = spec.auth.as_ref().and_then(|auth| auth.oauth.as_ref()) else {
        return;
    };
    if let Err(problem) = authorization_server(oauth) {
        problems.push(problem);
    }
    if oauth.provider != OAuthProvider::Mcp && oauth.client_ref.is_none() {
        let message = "is needed for all providers but Mcp";
        problems.push(Problem::invalid(format!("{FIELD}.clientRef"), message));
    }
    let is_found = oauth.provider == OAuthProvider::Mcp && oauth.issuer.is_none();
    if is_found && oauth.client_ref.is_some() {
        let message = "is needed with clientRef: a registration belongs to one authorization server, \
             and must not be sent to whichever the server names";
        problems.push(Problem::invalid(format!("{FIELD}.issuer"), message));
    }
}

/// The settings with their references at present versions.
///
/// # Errors
/// When the Secret must not be used.
pub(super) fn resolve(
    spec: &McpServerSpec,
    surroundings: &Surroundings<'_>,
) -> Result<Option<OAuthConfig>, Problem> {
    let Some(oauth) = spec.auth.as_ref().and_then(|auth| auth.oauth.as_ref()) else {
        return Ok(None);
    };
    let authorization_server = authorization_server(oauth)?;
    let client = match &oauth.client_ref {
        Some(client) => Some(resolve_client(client, &authorization_server, surroundings)?),
        None => None,
    };
    Ok(Some(OAuthConfig {
        authorization_server,
        client,
        scopes: oauth.scopes.clone(),
        resource: oauth.resource.clone(),
    }))
}

fn authorization_server(oauth: &OAuthAuth) -> Result<AuthorizationServer, Problem> {
    let needed = |field: &str, value: &Option<String>| {
        let message = "is needed for this provider";
        let missing = || Problem::invalid(format!("{FIELD}.{field}"), message);
        value.clone().ok_or_else(missing)
    };
    Ok(match oauth.provider {
        OAuthProvider::GitHub => AuthorizationServer::GitHub,
        OAuthProvider::Google => AuthorizationServer::Google,
        OAuthProvider::Azure => AuthorizationServer::Azure {
            tenant: needed("tenant", &oauth.tenant)?,
        },
        OAuthProvider::Auth0 => AuthorizationServer::Auth0 {
            domain: needed("domain", &oauth.domain)?,
        },
        OAuthProvider::Oidc => AuthorizationServer::Oidc {
            issuer: needed("issuer", &oauth.issuer)?,
        },
        OAuthProvider::Mcp => AuthorizationServer::Mcp {
            issuer: oauth.issuer.clone(),
        },
    })
}

fn resolve_client(
    client: &ClientRef,
    server: &AuthorizationServer,
    surroundings: &Surroundings<'_>,
) -> Result<OAuthClientReference, Problem> {
    let destination = match server {
        AuthorizationServer::GitHub => Destination::Host(GITHUB),
        AuthorizationServer::Google => Destination::Host(GOOGLE),
        AuthorizationServer::Azure { .. } => Destination::Host(AZURE),
        AuthorizationServer::Auth0 { domain } => Destination::Host(domain),
        AuthorizationServer::Oidc { .. } | AuthorizationServer::Mcp { .. } => Destination::Found,
    };
    let secrets = surroundings.secrets;
    let namespace = surroundings.organization.namespace.as_str();
    let resolve = |key: &str| {
        let reference = SecretKeyRef {
            name: client.name.clone(),
            key: key.to_owned(),
        };
        let field = format!("{FIELD}.clientRef");
        credentials::resolve(secrets, namespace, &reference, &destination, &field)
    };
    let id = resolve(&client.id_key)?;
    let is_confidential = secrets
        .get(namespace, &client.name)
        .is_some_and(|secret| secret.keys.contains(&client.secret_key));
    let secret = match is_confidential {
        true => Some(resolve(&client.secret_key)?),
        false => None,
    };
    Ok(OAuthClientReference {
        id,
        secret,
        allowed_hosts: allowed_hosts(secrets, namespace, &client.name),
    })
}
