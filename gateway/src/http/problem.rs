//! Problem documents (RFC 9457) and the closed list of their codes.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::request_id;
use crate::audit::AuditError;
use crate::domain::prompts::ComposeError;
use crate::store::StoreError;

/// What went wrong, for programs: each has one status and one answer to whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request cannot be read.
    InvalidRequest,
    /// No usable bearer token was sent.
    Unauthorized,
    /// The caller is known, but lacks the role.
    Forbidden,
    /// The organization is suspended.
    OrganizationSuspended,
    /// A web page of a foreign origin asks.
    OriginNotAllowed,
    /// There is no such thing for this caller.
    NotFound,
    /// The path does not have this method.
    MethodNotAllowed,
    /// The client accepts none of the media types that are served.
    NotAcceptable,
    /// The user has as many sessions as the organization allows.
    SessionLimit,
    /// The user has as many API keys as is allowed.
    ApiKeyLimit,
    /// The user has as many MCP servers of their own as is allowed.
    McpServerLimit,
    /// An MCP server of that name exists.
    McpServerNameTaken,
    /// The MCP server is declared in Kubernetes, and changed there only.
    McpServerReadOnly,
    /// The organization's users may not add MCP servers.
    UserServersDisabled,
    /// The session has as many members as is allowed.
    MemberLimit,
    /// It was changed meanwhile: `If-Match` names another version.
    PreconditionFailed,
    /// No account is connected at the upstream server.
    NotConnected,
    /// The account at the upstream server must be connected again.
    ReconnectRequired,
    /// What an authorization server or a browser brought back is refused.
    AuthorizationRefused,
    /// The idempotency key was used with another body.
    IdempotencyKeyReused,
    /// The body is larger than what is accepted.
    PayloadTooLarge,
    /// The body is not of the media type that is read.
    UnsupportedMediaType,
    /// The composed prompt would hold what a policy blocks.
    PromptRefused,
    /// The caller, or its organization, asks too often.
    RateLimited,
    /// The user, or the organization, has as many event streams as is allowed.
    StreamLimit,
    /// The organization has as many requests under way as is allowed.
    ConcurrencyLimit,
    /// A header asks for something that this version does not serve.
    NotSupported,
    /// A defect of the gateway; its log has more under the request id.
    Internal,
    /// Something that the gateway needs is away.
    Unavailable,
    /// The platform has no keys to encrypt credentials with.
    EncryptionNotConfigured,
    /// An authorization server did not do its part.
    AuthorizationServerFailed,
    /// The gateway has as much under way as it can serve.
    Overloaded,
    /// The request took longer than the gateway waits.
    Timeout,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 33] = [
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::OrganizationSuspended,
        Self::OriginNotAllowed,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::SessionLimit,
        Self::ApiKeyLimit,
        Self::McpServerLimit,
        Self::McpServerNameTaken,
        Self::McpServerReadOnly,
        Self::UserServersDisabled,
        Self::MemberLimit,
        Self::PreconditionFailed,
        Self::NotConnected,
        Self::ReconnectRequired,
        Self::AuthorizationRefused,
        Self::IdempotencyKeyReused,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::PromptRefused,
        Self::RateLimited,
        Self::StreamLimit,
        Self::ConcurrencyLimit,
        Self::NotSupported,
        Self::Internal,
        Self::Unavailable,
        Self::EncryptionNotConfigured,
        Self::AuthorizationServerFailed,
        Self::Overloaded,
        Self::Timeout,
    ];

    /// Status, name, title, and whether the same request may succeed later.
    const fn row(self) -> (StatusCode, &'static str, &'static str, bool) {
        match self {
            Self::InvalidRequest => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "The request cannot be read",
                false,
            ),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "Authentication is required",
                false,
            ),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "The role does not permit this",
                false,
            ),
            Self::OrganizationSuspended => (
                StatusCode::FORBIDDEN,
                "organization_suspended",
                "The organization is suspended",
                false,
            ),
            Self::OriginNotAllowed => (
                StatusCode::FORBIDDEN,
                "origin_not_allowed",
                "Web pages of this origin are not let in",
                false,
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "not_found",
                "There is no such thing",
                false,
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "The path does not have this method",
                false,
            ),
            Self::NotAcceptable => (
                StatusCode::NOT_ACCEPTABLE,
                "not_acceptable",
                "None of the accepted media types is served",
                false,
            ),
            Self::SessionLimit => (
                StatusCode::CONFLICT,
                "session_limit",
                "Too many open sessions",
                false,
            ),
            Self::ApiKeyLimit => (
                StatusCode::CONFLICT,
                "api_key_limit",
                "Too many API keys",
                false,
            ),
            Self::McpServerLimit => (
                StatusCode::CONFLICT,
                "mcp_server_limit",
                "Too many MCP servers",
                false,
            ),
            Self::McpServerNameTaken => (
                StatusCode::CONFLICT,
                "mcp_server_name_taken",
                "The name of the MCP server is taken",
                false,
            ),
            Self::McpServerReadOnly => (
                StatusCode::FORBIDDEN,
                "mcp_server_read_only",
                "The MCP server is changed in Kubernetes",
                false,
            ),
            Self::UserServersDisabled => (
                StatusCode::FORBIDDEN,
                "user_servers_disabled",
                "Users may not add MCP servers",
                false,
            ),
            Self::MemberLimit => (
                StatusCode::CONFLICT,
                "member_limit",
                "Too many members",
                false,
            ),
            Self::PreconditionFailed => (
                StatusCode::PRECONDITION_FAILED,
                "precondition_failed",
                "It was changed meanwhile",
                false,
            ),
            Self::NotConnected => (
                StatusCode::CONFLICT,
                "not_connected",
                "No account is connected",
                false,
            ),
            Self::ReconnectRequired => (
                StatusCode::CONFLICT,
                "reconnect_required",
                "The account must be connected again",
                false,
            ),
            Self::AuthorizationRefused => (
                StatusCode::BAD_REQUEST,
                "authorization_refused",
                "The account is not connected",
                false,
            ),
            Self::IdempotencyKeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "The idempotency key belongs to another request",
                false,
            ),
            Self::PayloadTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "The body is too large",
                false,
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The media type is not read",
                false,
            ),
            Self::PromptRefused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "prompt_refused",
                "A prompt policy refuses this",
                false,
            ),
            Self::RateLimited => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "Too many requests",
                true,
            ),
            Self::StreamLimit => (
                StatusCode::TOO_MANY_REQUESTS,
                "stream_limit",
                "Too many event streams",
                true,
            ),
            Self::ConcurrencyLimit => (
                StatusCode::TOO_MANY_REQUESTS,
                "concurrency_limit",
                "Too many requests at one time",
                true,
            ),
            Self::NotSupported => (
                StatusCode::BAD_REQUEST,
                "not_supported",
                "This version does not serve that",
                false,
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The gateway failed",
                false,
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Try again later",
                true,
            ),
            Self::EncryptionNotConfigured => (
                StatusCode::SERVICE_UNAVAILABLE,
                "encryption_not_configured",
                "Credentials cannot be stored",
                false,
            ),
            Self::AuthorizationServerFailed => (
                StatusCode::BAD_GATEWAY,
                "authorization_server_failed",
                "The authorization server did not do its part",
                true,
            ),
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "The gateway has enough to do",
                true,
            ),
            Self::Timeout => (
                StatusCode::GATEWAY_TIMEOUT,
                "timeout",
                "The request took too long",
                true,
            ),
        }
    }

    /// HTTP status.
    pub const fn status(self) -> StatusCode {
        self.row().0
    }

    /// Name in documents, records and metrics.
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// What went wrong, in a few words that are the same every time.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// Whether the same request may succeed later.
    pub const fn retryable(self) -> bool {
        self.row().3
    }
}

/// An answer that says what went wrong. Nothing internal is in it.
#[derive(Debug)]
pub struct Problem {
    code: ErrorCode,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// A problem document (RFC 9457, section 3.1) as it is sent.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemDocument {
    /// Names the kind of problem.
    #[schema(example = "https://agentapi.dev/problems/not_found")]
    r#type: String,
    /// The kind of problem, in a few words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// This occurrence, for people.
    detail: String,
    /// The kind of problem, for programs.
    code: ErrorCode,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// The request's id, as in `X-Request-Id` and in the log.
    request_id: String,
}

impl Problem {
    /// A problem with a text for people.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            headers: vec![],
        }
    }

    /// There is no such thing for this caller: the same for what does not exist and for what is somebody else's.
    pub fn not_found() -> Self {
        Self::new(
            ErrorCode::NotFound,
            "nothing with this path and id exists for the caller",
        )
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// What happened, for people.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn challenge(self, challenge: &str) -> Self {
        self.header(WWW_AUTHENTICATE, challenge)
    }

    pub(crate) fn allow(self, methods: &str) -> Self {
        self.header(ALLOW, methods)
    }

    pub(super) fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, &seconds.to_string())
    }

    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}

/// What an answer that is a problem says, for pages.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) title: &'static str,
    pub(super) detail: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let told = Told {
            title: self.code.title(),
            detail: self.detail.clone(),
        };
        let document = ProblemDocument {
            r#type: format!("https://agentapi.dev/problems/{}", self.code.name()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: self.detail,
            code: self.code,
            retryable: self.code.retryable(),
            request_id: request_id::current(),
        };
        let mut response = (self.code.status(), Json(document)).into_response();
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response.headers_mut().extend(self.headers);
        response.extensions_mut().insert(told);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::SessionLimit { .. } => {
                Self::new(ErrorCode::SessionLimit, error.to_string())
            }
            StoreError::ApiKeyLimit { .. } => Self::new(ErrorCode::ApiKeyLimit, error.to_string()),
            StoreError::McpServerLimit { .. } => {
                Self::new(ErrorCode::McpServerLimit, error.to_string())
            }
            StoreError::McpServerNameTaken => {
                Self::new(ErrorCode::McpServerNameTaken, error.to_string())
            }
            StoreError::MemberLimit { .. } => Self::new(ErrorCode::MemberLimit, error.to_string()),
            StoreError::IdempotencyKeyReused => {
                Self::new(ErrorCode::IdempotencyKeyReused, error.to_string())
            }
            StoreError::NulCharacter => Self::new(ErrorCode::InvalidRequest, error.to_string()),
            StoreError::Unavailable(source) | StoreError::OutcomeUnknown(source) => {
                tracing::warn!(%error, %source, "the store is not available");
                Self::new(ErrorCode::Unavailable, error.to_string())
            }
            _ => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
                Self::new(ErrorCode::Internal, "the store failed")
            }
        }
    }
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "an act could not be recorded"
        );
        Self::new(ErrorCode::Unavailable, error.to_string())
    }
}

impl From<ComposeError> for Problem {
    fn from(error: ComposeError) -> Self {
        Self::new(ErrorCode::PromptRefused, error.to_string())
    }
}
