//! How the gateway authenticates to an MCP server.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AuthType;
use crate::rules;
use crate::secret_ref::{ClientRef, SecretKeyRef};

/// Whose credentials are sent to a server.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CredentialScope {
    /// One credential for the whole organization.
    #[default]
    Organization,
    /// Each user's own.
    User,
}

/// How the gateway authenticates to a server: exactly one of the fields.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"[has(self.bearer), has(self.headers) && self.headers.size() > 0, has(self.oauth), has(self.tokenExchange)].filter(present, present).size() <= 1"#)
    .message("at most one of bearer, headers, oauth and tokenExchange is possible"))]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// A bearer token from a Secret (RFC 6750).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<BearerAuth>,
    /// Headers whose values come from Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub headers: Vec<HeaderAuth>,
    /// OAuth 2.0 with an authorization server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<OAuthAuth>,
    /// The user's token exchanged for one of the server's audience (RFC 8693).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_exchange: Option<TokenExchangeAuth>,
}

impl Auth {
    /// Which of the ways is meant.
    pub fn auth_type(&self) -> AuthType {
        if self.bearer.is_some() {
            AuthType::Bearer
        } else if !self.headers.is_empty() {
            AuthType::Headers
        } else if self.oauth.is_some() {
            AuthType::OAuth
        } else if self.token_exchange.is_some() {
            AuthType::TokenExchange
        } else {
            AuthType::None
        }
    }
}

/// A bearer token from a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BearerAuth {
    /// Secret of the same namespace with the token.
    pub secret_ref: SecretKeyRef,
}

/// A header whose value comes from a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"!self.name.lowerAscii().matches('^(host|connection|content-length|content-type|transfer-encoding|te|trailer|upgrade|keep-alive|accept|cookie|proxy-.*|mcp-.*)$')"#)
    .message("is a header of the protocol and carries no credential").field_path(".name").reason(Reason::FieldValueForbidden))]
#[serde(rename_all = "camelCase")]
pub struct HeaderAuth {
    /// Name of the header, for example X-Api-Key.
    #[schemars(
        length(min = 1, max = 128),
        regex(pattern = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
    )]
    pub name: String,
    /// Secret of the same namespace with the header's value.
    pub secret_ref: SecretKeyRef,
}

/// OAuth 2.0 with an authorization server.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"(self.provider == 'Azure') == has(self.tenant)"#)
    .message("tenant is needed for Azure, and only there").field_path(".tenant"))]
#[x_kube(validation = Rule::new(r#"(self.provider == 'Auth0') == has(self.domain)"#)
    .message("domain is needed for Auth0, and only there").field_path(".domain"))]
#[x_kube(validation = Rule::new(r#"self.provider != 'Oidc' || has(self.issuer)"#)
    .message("issuer is needed for Oidc").field_path(".issuer").reason(Reason::FieldValueRequired))]
#[x_kube(validation = Rule::new(r#"!has(self.issuer) || self.provider in ['Oidc', 'Mcp']"#)
    .message("issuer is for Oidc and Mcp only: the other providers have their own").field_path(".issuer"))]
#[x_kube(validation = Rule::new(r#"self.provider == 'Mcp' || has(self.clientRef)"#)
    .message("clientRef is needed for all providers but Mcp").field_path(".clientRef").reason(Reason::FieldValueRequired))]
#[serde(rename_all = "camelCase")]
pub struct OAuthAuth {
    /// Which authorization server, or how it is found.
    pub provider: OAuthProvider,
    /// The authorization server's issuer: an absolute http or https URL. For Oidc; optional for Mcp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 512))]
    #[x_kube(validation = rules::issuer_url())]
    pub issuer: Option<String>,
    /// Microsoft Entra tenant: an identifier or a domain. For Azure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9.-]+$"))]
    pub tenant: Option<String>,
    /// Auth0 domain, for example example.eu.auth0.com. For Auth0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
    )]
    pub domain: Option<String>,
    /// Client registration at the authorization server. Needed for all but Mcp, where the gateway can register itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ref: Option<ClientRef>,
    /// Scopes asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(length(min = 1, max = 256), regex(pattern = r#"^[!#-\[\]-~]+$"#))
    )]
    pub scopes: Vec<String>,
    /// Resource that tokens are asked for (RFC 8707): an absolute URL. Default: the server's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 1024))]
    #[x_kube(validation = rules::absolute_url())]
    pub resource: Option<String>,
}

/// Which authorization server, or how it is found.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OAuthProvider {
    /// github.com.
    GitHub,
    /// accounts.google.com.
    Google,
    /// Microsoft Entra; needs the tenant.
    Azure,
    /// Auth0; needs the domain.
    Auth0,
    /// Any OpenID Connect provider; needs the issuer.
    Oidc,
    /// As the server's own metadata says (MCP authorization, RFC 9728).
    Mcp,
}

/// A token exchange (RFC 8693).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"has(self.audience) || has(self.resource)"#)
    .message("at least one of audience and resource is required, so that the token is good for this server only"))]
#[serde(rename_all = "camelCase")]
pub struct TokenExchangeAuth {
    /// Token endpoint of the authorization server: an absolute http or https URL.
    #[schemars(length(min = 8, max = 1024))]
    #[x_kube(validation = rules::absolute_url())]
    pub token_endpoint: String,
    /// Client registration with which the gateway authenticates to the token endpoint.
    pub client_ref: ClientRef,
    /// Logical name of the server that the token is for (RFC 8693 section 2.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub audience: Option<String>,
    /// Location of the server that the token is for: an absolute URL (RFC 8707).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 1024))]
    #[x_kube(validation = rules::absolute_url())]
    pub resource: Option<String>,
    /// Scopes asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(length(min = 1, max = 256), regex(pattern = r#"^[!#-\[\]-~]+$"#))
    )]
    pub scopes: Vec<String>,
    /// Type under which the user's token is presented (RFC 8693 section 3).
    #[serde(default)]
    pub subject_token_type: SubjectTokenType,
}

/// Type of the token that is exchanged (RFC 8693 section 3).
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubjectTokenType {
    /// An OAuth 2.0 access token.
    #[default]
    #[serde(rename = "urn:ietf:params:oauth:token-type:access_token")]
    AccessToken,
    /// An OpenID Connect ID token.
    #[serde(rename = "urn:ietf:params:oauth:token-type:id_token")]
    IdToken,
    /// A JSON Web Token.
    #[serde(rename = "urn:ietf:params:oauth:token-type:jwt")]
    Jwt,
}
