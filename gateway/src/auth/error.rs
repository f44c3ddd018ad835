//! Why a caller is not let in.

use std::sync::Arc;

use super::Caller;
use super::key_ring::KeysError;
use crate::store::StoreError;

/// Why a caller is not let in. The texts are shown to the caller: they say what
/// is wrong with the token, and nothing about organizations that it does not name.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No bearer token was sent.
    #[error("a bearer token is required: send `Authorization: Bearer …`")]
    Missing,
    /// What was sent cannot be a token.
    #[error("the bearer token is malformed: {0}")]
    Malformed(&'static str),
    /// No organization trusts the issuer, or none that the token names does.
    #[error("no organization trusts this token: check its issuer, audience and organization claim")]
    Untrusted,
    /// The token is accepted, but the path names another organization than its
    /// own. Says no more than [`Untrusted`](Self::Untrusted); its organization records it.
    #[error("no organization trusts this token: check its issuer, audience and organization claim")]
    AnotherOrganization(Box<Caller>),
    /// The issuer's key set has no such key.
    #[error("the token's issuer has no key of its kid")]
    UnknownKey,
    /// The token's algorithm is not the key's.
    #[error("the token is signed by an algorithm that its key is not for")]
    Algorithm,
    /// The signature does not fit.
    #[error("the token's signature is wrong")]
    Signature,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is still to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// A claim is missing or cannot be used.
    #[error("the token's claims cannot be used: {0}")]
    Claims(&'static str),
    /// The issuer's keys cannot be had now.
    #[error("the keys of the token's issuer cannot be had now: try again")]
    Keys(#[source] KeysError),
    /// The service account, or the pod that the token is bound to, is gone.
    #[error("the token's service account, or the pod it is bound to, no longer exists")]
    Revoked,
    /// The token is a service account's, and there is no API server that could have issued it.
    #[error(
        "tokens of service accounts are accepted on a cluster only: use one of `agentapi token` here"
    )]
    NoCluster,
    /// What was sent looks like an API key and is none that may be used.
    #[error("the API key is unknown, revoked or expired")]
    ApiKey,
    /// API keys cannot be looked up now.
    #[error("API keys cannot be looked up now: try again")]
    Store(#[source] Arc<StoreError>),
    /// The organization is suspended.
    #[error("the organization is suspended: ask the platform's operators")]
    Suspended,
}

impl AuthError {
    /// A label for metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed(_) => "malformed",
            Self::Untrusted => "untrusted",
            Self::AnotherOrganization(_) => "another_organization",
            Self::UnknownKey => "unknown_key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Claims(_) => "claims",
            Self::Keys(_) => "keys_unavailable",
            Self::Revoked => "revoked",
            Self::NoCluster => "no_cluster",
            Self::ApiKey => "api_key",
            Self::Store(_) => "store_unavailable",
            Self::Suspended => "suspended",
        }
    }
}
