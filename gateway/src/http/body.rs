//! JSON bodies, read strictly, with problems that name the field.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::{AppState, ErrorCode, Problem};

/// A JSON body. Types say by `deny_unknown_fields` that a misspelt field is an error.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<AppState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        parse(&json_bytes(request, state).await?).map(Self)
    }
}

/// The bytes of a body that is JSON by its `Content-Type`.
pub(super) async fn json_bytes(request: Request, state: &AppState) -> Result<Bytes, Problem> {
    let media_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !is_json(media_type) {
        return Err(Problem::new(
            ErrorCode::UnsupportedMediaType,
            "send the body as application/json",
        ));
    }
    read(request, state).await
}

/// A JSON body as what it should be.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(
            ErrorCode::InvalidRequest,
            format!("the body cannot be read: {error}"),
        )
    })
}

/// Whether a `Content-Type` is JSON, whatever its parameters.
pub(crate) fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// The whole body within the limit.
pub(crate) async fn read(request: Request, state: &AppState) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(state.body_limit as u64),
            _ => Problem::new(ErrorCode::InvalidRequest, "the body broke off"),
        })
}

/// The answer to a body over the limit.
pub(crate) fn too_large(limit: u64) -> Problem {
    Problem::new(
        ErrorCode::PayloadTooLarge,
        format!("the body is larger than {limit} bytes"),
    )
}
