//! Why an account is not connected, or a token not had.

use crate::auth::AuthError;
use crate::domain::oauth::{AuthorizationUrlError, MetadataError, RedirectError, TokenError};
use crate::encryption::{DecryptError, EncryptError};
use crate::store::StoreError;
use crate::upstream::{HttpError, SecretError, TrustError};

/// Why an account is not connected, or a token not had.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// Tokens cannot be kept.
    #[error(
        "no key encrypts stored tokens: the platform engineer must set AGENTAPI_ENCRYPTION_KEYS"
    )]
    NoKeys,
    /// The system gives no random numbers.
    #[error("there are no random numbers")]
    NoRandomness,
    /// The organization has no such server.
    #[error("the organization has no such server")]
    NoServer,
    /// The server takes no tokens of an authorization server.
    #[error("the server takes no account: its McpServer has no auth.oauth")]
    NotOAuth,
    /// The gateway has no registration at the authorization server, and none is configured.
    #[error(
        "the authorization server takes no client metadata documents: register a client there and name it in auth.oauth.clientRef"
    )]
    NoClient,
    /// The client's secret is bound to other hosts.
    #[error("the client's secret may not be sent to {0}: see the annotation of its Secret")]
    Host(String),
    /// The client's registration cannot be read.
    #[error("the client's registration cannot be read")]
    Secret(#[from] SecretError),
    /// A document about the server or the authorization server is not believed.
    #[error("what the authorization server says of itself is not believed")]
    Metadata(#[from] MetadataError),
    /// No document was found.
    #[error("no metadata of {subject} can be had")]
    NotFound {
        /// What was looked for.
        subject: String,
        /// What the last place answered.
        #[source]
        source: Option<HttpError>,
    },
    /// No browser is sent there.
    #[error(transparent)]
    AuthorizationUrl(#[from] AuthorizationUrlError),
    /// What the browser brings back is not what it was sent away with.
    #[error(
        "this way to the account was begun elsewhere, was used already, or took too long: begin again"
    )]
    State,
    /// The configuration has changed on the way.
    #[error("the server's configuration has changed meanwhile: begin again")]
    Changed,
    /// The redirect is not believed, or is a refusal.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// The authorization server refused.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Nothing was sent.
    #[error("the authorization server cannot be reached")]
    NotSent(#[source] HttpError),
    /// It is not known whether the authorization server did what it was asked.
    #[error("the authorization server did not answer to the end")]
    Unknown(#[source] HttpError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The organization's issuer did not say who logs in.
    #[error("the login is not accepted: {0}")]
    Login(#[from] AuthError),
    /// The login's answer has no ID token.
    #[error("the login's answer has no ID token")]
    NoIdToken,
    /// Nobody can log in by a browser.
    #[error("the organization's issuers have no client for logins")]
    NoLogin,
    /// Somebody else refreshes the tokens for longer than is waited.
    #[error("the token is being refreshed for too long")]
    Slow,
    /// Tokens cannot be sealed.
    #[error(transparent)]
    Seal(#[from] EncryptError),
    /// Kept tokens do not open.
    #[error(transparent)]
    Open(#[from] DecryptError),
    /// Kept tokens cannot be read.
    #[error("the kept tokens cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl OAuthError {
    /// A stable name, for records and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoKeys => "no_encryption_keys",
            Self::NoRandomness | Self::Seal(_) => "not_sealed",
            Self::NoServer | Self::NotOAuth => "no_such_server",
            Self::NoClient | Self::Host(_) | Self::Secret(_) => "client_unavailable",
            Self::Metadata(_) | Self::NotFound { .. } | Self::AuthorizationUrl(_) => {
                "authorization_server_metadata"
            }
            Self::State => "state",
            Self::Changed => "configuration_changed",
            Self::Redirect(_) => "redirect",
            Self::Token(TokenError::Grant(_)) => "grant_refused",
            Self::Token(TokenError::Request(_)) => "request_refused",
            Self::Token(_) | Self::NotSent(_) | Self::Unknown(_) | Self::Trust(_) | Self::Slow => {
                "authorization_server_failed"
            }
            Self::Login(_) | Self::NoIdToken | Self::NoLogin => "login",
            Self::Open(_) | Self::Unreadable(_) => "not_opened",
            Self::Store(_) => "store_unavailable",
        }
    }
}
