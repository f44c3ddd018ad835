//! Pages for people: who connects an account at an upstream server proves who they
//! are with a browser, and sees and ends what is connected.
//!
//! - `session`: cookies, and who a browser is logged in as.
//! - `login`: by the organization's issuer or, where that has no client for it, with a token.
//! - `connect`: from a connect link to the authorization server.
//! - `callback`: and back.
//! - `connections`: what is connected.
//! - `page`: how all of it looks. A problem is a page, too, for who accepts HTML.

pub(super) mod callback;
pub(super) mod client;
pub(super) mod connect;
pub(super) mod connections;
pub(super) mod login;
mod page;
mod session;

pub(super) use connections::or_page;
pub(super) use page::as_page;

use super::problem::Problem;
use super::{AppState, ErrorCode};
use crate::domain::oauth::TokenError;
use crate::oauth::OAuthError;
use crate::telemetry::chain;

impl From<OAuthError> for Problem {
    fn from(error: OAuthError) -> Self {
        let code = match &error {
            OAuthError::NoServer => return Self::not_found(),
            OAuthError::NotOAuth | OAuthError::NoLogin => ErrorCode::NotSupported,
            OAuthError::State | OAuthError::Changed | OAuthError::Redirect(_) => {
                ErrorCode::AuthorizationRefused
            }
            OAuthError::Login(_) | OAuthError::NoIdToken => ErrorCode::AuthorizationRefused,
            OAuthError::Token(TokenError::Grant(_)) => ErrorCode::AuthorizationRefused,
            OAuthError::Token(_)
            | OAuthError::NotSent(_)
            | OAuthError::Unknown(_)
            | OAuthError::Metadata(_)
            | OAuthError::NotFound { .. }
            | OAuthError::AuthorizationUrl(_)
            | OAuthError::NoClient
            | OAuthError::Host(_)
            | OAuthError::Secret(_)
            | OAuthError::Slow => ErrorCode::AuthorizationServerFailed,
            OAuthError::NoKeys => ErrorCode::EncryptionNotConfigured,
            OAuthError::NoRandomness
            | OAuthError::Seal(_)
            | OAuthError::Open(_)
            | OAuthError::Unreadable(_)
            | OAuthError::Trust(_) => {
                tracing::error!(error = chain(&error), "an account cannot be connected");
                return Self::new(ErrorCode::Internal, "the account cannot be connected");
            }
            OAuthError::Store(_) => {
                tracing::warn!(error = chain(&error), "the store is not available");
                return Self::new(ErrorCode::Unavailable, "the store is not available");
            }
        };
        tracing::info!(
            code = error.code(),
            error = chain(&error),
            "an account is not connected"
        );
        Self::new(code, error.to_string())
    }
}
