//! What an authorization server says of itself (RFC 8414; OpenID Connect Discovery 1.0).

use agentapi_crds::tenant_config::AuthorizationServer;
use serde::Deserialize;
use url::Url;

use super::profile::IssuerRule;

const S256: &str = "S256";
/// `offline_access` (OpenID Connect Core 1.0, section 11).
pub(super) const OFFLINE_ACCESS: &str = "offline_access";

/// An authorization server, as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Its name: what tokens are kept for.
    pub issuer: String,
    /// Which `iss` its answers may have.
    pub issuer_rule: IssuerRule,
    /// Whether its answers always have one (RFC 9207, section 3).
    pub always_names_issuer: bool,
    /// Where users consent.
    pub authorization_endpoint: Url,
    /// Where codes and refresh tokens are exchanged.
    pub token_endpoint: Url,
    /// How tokens are revoked.
    pub revocation: Revocation,
    /// Whether the client's secret goes into the body rather than into a header.
    pub secret_in_body: bool,
    /// Whether the scope `offline_access` is listed.
    pub lists_offline_access: bool,
    /// Whether a client may be named by the URL of its metadata (MCP, client ID metadata documents).
    pub takes_client_documents: bool,
}

/// How tokens are revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// By RFC 7009.
    Standard(Url),
    /// By GitHub's own API ("Delete an app token").
    GitHub,
    /// Not at all: they end by themselves.
    None,
}

/// Why what a server says of itself is not believed.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// Not such a document.
    #[error("the document cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// The document is another's (RFC 8414, section 3.3).
    #[error("the document names the issuer {found}, not {expected}")]
    AnotherIssuer {
        /// The issuer that was asked for.
        expected: String,
        /// The issuer in the document.
        found: String,
    },
    /// Without PKCE by S256 a code that leaks can be used by whoever finds it.
    #[error("the authorization server does not say that it checks PKCE by S256")]
    NoPkce,
    /// A URL that is not to be opened or asked.
    #[error("{field} is not an absolute https URL without user and fragment")]
    Url {
        /// Member of the document.
        field: &'static str,
    },
    /// The document of a resource is another's (RFC 9728, section 3.3).
    #[error("the document is of the resource {found}, not of {expected}")]
    AnotherResource {
        /// The resource that was asked for.
        expected: String,
        /// The resource in the document.
        found: String,
    },
    /// The resource names no authorization server, or not the one that is configured.
    #[error("the server does not name the authorization server that it is configured with")]
    NoAuthorizationServer,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
}

impl Metadata {
    /// Reads a document that was found for `issuer`.
    ///
    /// # Errors
    /// See [`MetadataError`].
    pub fn read(document: &[u8], issuer: &str) -> Result<Self, MetadataError> {
        let document: Document = serde_json::from_slice(document)?;
        if document.issuer != issuer {
            return Err(MetadataError::AnotherIssuer {
                expected: issuer.to_owned(),
                found: document.issuer,
            });
        }
        let methods = &document.code_challenge_methods_supported;
        if !methods.iter().any(|method| method == S256) {
            return Err(MetadataError::NoPkce);
        }
        // Whoever runs the issuer without TLS, on a development machine, runs the rest so too.
        let plain = issuer.starts_with("http://");
        let url = |field, text: &str| endpoint(field, text, plain);
        let revocation = match &document.revocation_endpoint {
            Some(text) => Revocation::Standard(url("revocation_endpoint", text)?),
            None => Revocation::None,
        };
        let listed = |list: &[String], wanted: &str| list.iter().any(|found| found == wanted);
        // RFC 8414, section 2: client_secret_basic where nothing is said.
        let methods = document.token_endpoint_auth_methods_supported;
        let secret_in_body = methods.is_some_and(|methods| {
            !listed(&methods, "client_secret_basic") && listed(&methods, "client_secret_post")
        });
        Ok(Self {
            issuer_rule: IssuerRule::Exact(issuer.to_owned()),
            always_names_issuer: document.authorization_response_iss_parameter_supported,
            authorization_endpoint: url(
                "authorization_endpoint",
                &document.authorization_endpoint,
            )?,
            token_endpoint: url("token_endpoint", &document.token_endpoint)?,
            revocation,
            secret_in_body,
            lists_offline_access: listed(&document.scopes_supported, OFFLINE_ACCESS),
            takes_client_documents: document.client_id_metadata_document_supported,
            issuer: document.issuer,
        })
    }

    /// The metadata of a provider that publishes it in its documentation; nothing
    /// where a document is to be asked.
    pub fn published(server: &AuthorizationServer) -> Option<Self> {
        match server {
            AuthorizationServer::GitHub => Self::fixed(
                "https://github.com/login/oauth",
                "https://github.com/login/oauth/authorize",
                "https://github.com/login/oauth/access_token",
                Revocation::GitHub,
            ),
            AuthorizationServer::Google => {
                let revoke = Url::parse("https://oauth2.googleapis.com/revoke").ok()?;
                Self::fixed(
                    "https://accounts.google.com",
                    "https://accounts.google.com/o/oauth2/v2/auth",
                    "https://oauth2.googleapis.com/token",
                    Revocation::Standard(revoke),
                )
            }
            AuthorizationServer::Azure { tenant } => {
                let base = format!("https://login.microsoftonline.com/{tenant}");
                let metadata = Self::fixed(
                    &format!("{base}/v2.0"),
                    &format!("{base}/oauth2/v2.0/authorize"),
                    &format!("{base}/oauth2/v2.0/token"),
                    Revocation::None,
                )?;
                Some(Self {
                    issuer_rule: IssuerRule::of_azure(tenant),
                    ..metadata
                })
            }
            AuthorizationServer::Auth0 { .. }
            | AuthorizationServer::Oidc { .. }
            | AuthorizationServer::Mcp { .. } => None,
        }
    }

    fn fixed(issuer: &str, authorize: &str, token: &str, revocation: Revocation) -> Option<Self> {
        Some(Self {
            issuer: issuer.to_owned(),
            issuer_rule: IssuerRule::Exact(issuer.to_owned()),
            always_names_issuer: false,
            authorization_endpoint: Url::parse(authorize).ok()?,
            token_endpoint: Url::parse(token).ok()?,
            revocation,
            secret_in_body: true,
            lists_offline_access: false,
            takes_client_documents: false,
        })
    }
}

/// A URL of a document that a browser is sent to, or that is asked.
fn endpoint(field: &'static str, text: &str, plain: bool) -> Result<Url, MetadataError> {
    let refused = || MetadataError::Url { field };
    let url = Url::parse(text).map_err(|_| refused())?;
    let scheme = url.scheme() == "https" || (plain && url.scheme() == "http");
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (scheme && bare && url.has_host())
        .then_some(url)
        .ok_or_else(refused)
}
