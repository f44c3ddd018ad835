//! Why a call was not answered as asked, as the operator reads it.

use agentapi_crds::internal_api;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::auth::AuthError;
use crate::store::StoreError;
use crate::telemetry::chain;
use crate::upstream::UpstreamError;

/// Why a call was not answered as asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The token is none of this cluster's, or for something else.
    #[error(transparent)]
    Token(AuthError),
    /// The token is another service account's.
    #[error("the internal API is for the operator's service account only, not for {0}")]
    NotTheOperator(String),
    /// The organization is in service, or its sessions are being ended.
    #[error("the organization is still served, or its sessions are being ended")]
    StillServed,
    /// The organization or the server is not in service here.
    #[error("no such server is in service")]
    NotServed,
    /// The server did not tell its tools.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The process is about to end.
    #[error("this replica is shutting down")]
    Stopping,
}

impl Refusal {
    fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Token(AuthError::Keys(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable")
            }
            Self::Token(_) => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::NotTheOperator(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::StillServed => (StatusCode::CONFLICT, "still_served"),
            Self::NotServed => (StatusCode::NOT_FOUND, "not_served"),
            Self::Upstream(error) => (StatusCode::BAD_GATEWAY, error.code()),
            Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.row();
        let message = match &self {
            Self::Store(error) => {
                tracing::warn!(error = chain(error), "the operator is not answered");
                "the store does not answer".to_owned()
            }
            other => other.to_string(),
        };
        let refusal = internal_api::Refusal {
            code: code.to_owned(),
            message,
        };
        (status, Json(refusal)).into_response()
    }
}
