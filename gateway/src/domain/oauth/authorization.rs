//! The URL that a user's browser is sent to (RFC 6749, section 4.1.1).

use url::Url;

use super::metadata::{Metadata, OFFLINE_ACCESS};
use super::pkce::Verifier;
use super::profile::{OfflineScope, Profile};

/// What is asked of an authorization server, for one user and one browser.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizationRequest<'a> {
    /// The client's identifier.
    pub client_id: &'a str,
    /// Where the browser comes back: exactly this.
    pub redirect_uri: &'a str,
    /// Scopes that the configuration asks for.
    pub scopes: &'a [String],
    /// What the token is for.
    pub resource: &'a str,
    /// Whether the configuration states the resource, rather than it being the server's own URL.
    pub resource_is_stated: bool,
    /// Comes back unchanged.
    pub state: &'a str,
    /// What will prove that whoever exchanges the code began here.
    pub verifier: &'a Verifier,
}

/// Why no browser is sent there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationUrlError {
    /// The endpoint would say itself what only the gateway says.
    #[error("the authorization endpoint already has the parameter {0}")]
    Parameter(String),
}

/// Parameters that an authorization endpoint must not come with.
const OURS: [&str; 12] = [
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "resource",
    "audience",
];

impl AuthorizationRequest<'_> {
    /// The URL. An endpoint may have a query of its own (RFC 6749, section 3.1).
    ///
    /// # Errors
    /// See [`AuthorizationUrlError`].
    pub fn url(&self, server: &Metadata, profile: &Profile) -> Result<Url, AuthorizationUrlError> {
        let mut url = server.authorization_endpoint.clone();
        let given = url.query_pairs().find(|(name, _)| OURS.contains(&&**name));
        if let Some((name, _)) = given {
            return Err(AuthorizationUrlError::Parameter(name.into_owned()));
        }
        let (scopes, offline) = self.scopes(server, profile);
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", self.client_id)
            .append_pair("redirect_uri", self.redirect_uri)
            .append_pair("state", self.state)
            .append_pair("code_challenge", &self.verifier.challenge())
            .append_pair("code_challenge_method", "S256");
        if !scopes.is_empty() {
            query.append_pair("scope", &scopes.join(" "));
        }
        if let Some((name, value)) = self.resource(profile) {
            query.append_pair(name, value);
        }
        query.extend_pairs(profile.authorization);
        // OpenID Connect Core 1.0, section 11: without it, offline access is ignored.
        if offline && profile.offline_scope == OfflineScope::IfListed {
            query.append_pair("prompt", "consent");
        }
        drop(query);
        Ok(url)
    }

    /// The parameter that names the resource (RFC 8707, section 2).
    fn resource(&self, profile: &Profile) -> Option<(&'static str, &str)> {
        let name = profile.resource_parameter?;
        resource_is_named(name, self.resource_is_stated).then_some((name, self.resource))
    }

    fn scopes(&self, server: &Metadata, profile: &Profile) -> (Vec<&str>, bool) {
        let mut scopes: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        let offline = match profile.offline_scope {
            OfflineScope::Never => false,
            OfflineScope::Always => true,
            OfflineScope::IfListed => server.lists_offline_access,
        };
        if offline && !scopes.contains(&OFFLINE_ACCESS) {
            scopes.push(OFFLINE_ACCESS);
        }
        (scopes, offline)
    }
}

/// Whether a request names its resource: an audience that nobody stated would be
/// refused where audiences are registered; RFC 8707's parameter is understood or ignored.
pub fn resource_is_named(parameter: &str, is_stated: bool) -> bool {
    is_stated || parameter == "resource"
}
