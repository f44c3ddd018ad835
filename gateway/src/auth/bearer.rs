//! The `Authorization` header.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::AuthError;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// The bearer token of a request (RFC 6750, 2.1): from the header only, never
/// from the query or the body.
///
/// # Errors
/// [`AuthError::Missing`] without a bearer, [`AuthError::Malformed`] for one that cannot be a token.
pub fn bearer(headers: &HeaderMap) -> Result<&str, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(AuthError::Missing)?;
    if values.next().is_some() {
        return Err(AuthError::Malformed("more than one Authorization header"));
    }
    let value = value
        .to_str()
        .map_err(|_| AuthError::Malformed("the Authorization header is not ASCII"))?;
    let (scheme, token) = value.split_once(' ').ok_or(AuthError::Missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthError::Missing);
    }
    let token = token.trim();
    if token.is_empty() || token.len() > MAX_TOKEN {
        return Err(AuthError::Malformed(
            "the bearer token is empty or too long",
        ));
    }
    Ok(token)
}
