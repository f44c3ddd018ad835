//! Why an upstream MCP server did not do its part.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::bridge_token::BridgeTokenError;
use super::http_client::HttpError;
use super::secrets::SecretError;
use super::tokens::NoToken;
use crate::store::StoreError;

/// Why a call of an upstream failed. Cheap to clone, since everybody who waits
/// for the same handshake gets the same answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The destination is not permitted; no packet was sent.
    #[error("the server may not be dialled: {0}")]
    Refused(#[source] Arc<HttpError>),
    /// No connection, or it broke before the answer.
    #[error("the server cannot be reached")]
    Unreachable(#[source] Arc<HttpError>),
    /// Nothing was heard of the server for as long as its `resilience.timeout` says.
    #[error("the server did not answer within {0:?}")]
    Timeout(Duration),
    /// The server was heard of, but did not finish in the longest time a call may take.
    #[error("the server did not finish within {0:?}, whatever progress it told of")]
    Overdue(Duration),
    /// The client has cancelled the call, and was not to be answered any more.
    #[error("the client has cancelled the call; whether it took effect is not known")]
    Cancelled,
    /// The server has failed so often that it is not asked for a while.
    #[error("the server has failed too often in a row and is not asked for a while")]
    LeftAlone,
    /// A message is larger than the server's `limits.resultBytes`.
    #[error("the server sent a message of more than {0} bytes")]
    TooLarge(usize),
    /// An HTTP status that MCP does not answer with.
    #[error("the server answered with status {0}")]
    Status(StatusCode),
    /// The server did not accept the organization's credential.
    #[error("the server did not accept the credential configured for it (status {0})")]
    Unauthorized(StatusCode),
    /// What came is not MCP.
    #[error("the server answered with something else than MCP: {0}")]
    Invalid(&'static str),
    /// The answer ended before the response; whether the call took effect is not known.
    #[error("the server's answer broke off; whether the call took effect is not known")]
    Interrupted,
    /// The server does not know the session any more.
    #[error("the server has lost the session; the next call begins a new one")]
    SessionLost,
    /// The server chose a revision that the gateway does not speak.
    #[error("the server speaks MCP revision {0:?}, which is not supported")]
    Revision(String),
    /// The server answered `initialize` with an error.
    #[error("the server refused to initialize: {0}")]
    Handshake(String),
    /// The child process could not be started.
    #[error("the server's program cannot be started")]
    Start(#[source] Arc<std::io::Error>),
    /// The child process ended.
    #[error("the server's program has ended")]
    Exited,
    /// The credential, or a value of the child's environment, cannot be had.
    #[error("a credential of the server cannot be read")]
    Credential(#[source] Arc<SecretError>),
    /// There is no token for the server.
    #[error(transparent)]
    NoToken(NoToken),
    /// The server is behind a bridge, and the platform has configured no key for bridges.
    #[error(
        "the gateway has no key for the server's bridge: the platform engineer must set AGENTAPI_BRIDGE_SIGNING_KEY"
    )]
    NoBridgeKey,
    /// No token for the server's bridge could be made.
    #[error("no token for the server's bridge could be signed")]
    BridgeToken(#[source] Arc<BridgeTokenError>),
    /// A request with this id is already in flight in the session.
    #[error("a request with this id is already in flight")]
    IdInUse,
    /// The session cannot be remembered.
    #[error("the session cannot be stored")]
    Store(#[source] Arc<StoreError>),
}

impl UpstreamError {
    /// A stable name of what went wrong, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "upstream_refused",
            Self::Unreachable(_) => "upstream_unreachable",
            Self::Timeout(_) | Self::Overdue(_) => "upstream_timeout",
            Self::Cancelled => "cancelled",
            Self::LeftAlone => "upstream_circuit_open",
            Self::TooLarge(_) => "upstream_message_too_large",
            Self::Status(_) => "upstream_status",
            Self::Unauthorized(_) => "upstream_unauthorized",
            Self::Invalid(_) => "upstream_invalid_message",
            Self::Interrupted => "upstream_interrupted",
            Self::SessionLost => "upstream_session_lost",
            Self::Revision(_) => "upstream_unsupported_revision",
            Self::Handshake(_) => "upstream_refused_initialize",
            Self::Start(_) => "upstream_not_started",
            Self::Exited => "upstream_exited",
            Self::Credential(_) => "credential_unavailable",
            Self::NoToken(NoToken::NotConnected { .. }) => "not_connected",
            Self::NoToken(NoToken::Reconnect { .. }) => "reconnect_required",
            Self::NoToken(NoToken::NoUser) => "credential_of_a_user",
            Self::NoToken(NoToken::Unavailable(_)) => "token_unavailable",
            Self::NoBridgeKey | Self::BridgeToken(_) => "bridge_token_unavailable",
            Self::IdInUse => "id_in_use",
            Self::Store(_) => "store_unavailable",
        }
    }

    /// Whether the same call may succeed later, with nothing changed by anybody.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Timeout(_)
            | Self::Overdue(_)
            | Self::LeftAlone
            | Self::Invalid(_)
            | Self::Interrupted
            | Self::SessionLost
            | Self::Exited
            | Self::NoToken(NoToken::Unavailable(_))
            | Self::Store(_) => true,
            Self::Refused(_)
            | Self::Cancelled
            | Self::TooLarge(_)
            | Self::Unauthorized(_)
            | Self::Revision(_)
            | Self::Handshake(_)
            | Self::Start(_)
            | Self::NoToken(_)
            | Self::NoBridgeKey
            | Self::BridgeToken(_)
            | Self::IdInUse => false,
            Self::Status(status) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Credential(error) => matches!(**error, SecretError::Unavailable(_)),
        }
    }

    /// Path and query of the page where the account that is missing is connected.
    pub fn connect(&self) -> Option<&str> {
        match self {
            Self::NoToken(NoToken::NotConnected { connect } | NoToken::Reconnect { connect }) => {
                Some(connect)
            }
            _ => None,
        }
    }

    /// Whether the server may still be at work on the call that failed so.
    pub(super) fn leaves_at_work(&self) -> bool {
        matches!(
            self,
            Self::Timeout(_)
                | Self::Overdue(_)
                | Self::TooLarge(_)
                | Self::Invalid(_)
                | Self::Interrupted
        )
    }
}

impl From<HttpError> for UpstreamError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Timeout(limit) => Self::Timeout(limit),
            HttpError::TooLarge(limit) => Self::TooLarge(limit),
            HttpError::Status(status) => Self::Status(status),
            HttpError::Refused(_) | HttpError::Url(_) => Self::Refused(Arc::new(error)),
            HttpError::Connect(_) | HttpError::Broken(_) => Self::Unreachable(Arc::new(error)),
        }
    }
}

impl From<SecretError> for UpstreamError {
    fn from(error: SecretError) -> Self {
        Self::Credential(Arc::new(error))
    }
}

impl From<NoToken> for UpstreamError {
    fn from(error: NoToken) -> Self {
        Self::NoToken(error)
    }
}

impl From<StoreError> for UpstreamError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}
