//! `Idempotency-Key` on creates (draft-ietf-httpapi-idempotency-key-header).

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::body;
use super::{AppState, ErrorCode, Problem};
use crate::store::IdempotencyKey;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Set on an answer that repeats an earlier one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Longest key, in bytes.
const MAX_KEY: usize = 255;

/// The JSON body of a create, with the key under which it happens once.
pub(super) struct CreateBody<T> {
    pub(super) value: T,
    pub(super) once: Option<IdempotencyKey>,
}

impl<T: DeserializeOwned> FromRequest<AppState> for CreateBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let key = key(request.headers())?;
        let bytes = body::json_bytes(request, state).await?;
        Ok(Self {
            value: body::parse(&bytes)?,
            once: key.map(|key| once(key, &bytes)),
        })
    }
}

fn once(key: String, body: &Bytes) -> IdempotencyKey {
    IdempotencyKey {
        key,
        fingerprint: Sha256::digest(body).into(),
    }
}

/// The key, whether it stands in quotes, as the draft wants it (section 2.1), or bare, as many send it.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let (Some(value), another) = (values.next(), values.next()) else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|_| another.is_none());
    let text = text.map(|text| {
        let inner = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        inner.unwrap_or(text)
    });
    let fits = |text: &&str| {
        (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match text.filter(fits) {
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(Problem::new(
            ErrorCode::InvalidRequest,
            format!(
                "Idempotency-Key must stand once and have 1 to {MAX_KEY} visible ASCII characters"
            ),
        )),
    }
}

/// Marks an answer as the repetition of an earlier one.
pub(super) fn replayed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&'static str]) -> Result<Option<String>, ErrorCode> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_static(value));
        }
        key(&headers).map_err(|problem| problem.code())
    }

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        for value in ["8e03978e-40d5", "\"8e03978e-40d5\""] {
            assert_eq!(read(&[value]), Ok(Some("8e03978e-40d5".to_owned())));
        }
    }

    #[test]
    fn no_header_is_no_key() {
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn keys_that_cannot_be_kept_are_refused() {
        for values in [&[""][..], &["\"\""], &["a b"], &["a", "a"]] {
            assert_eq!(read(values), Err(ErrorCode::InvalidRequest), "{values:?}");
        }
    }
}
