//! The `Authorization` header, and what a token says before it is verified.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use jsonwebtoken::Header;

use super::AuthError;
use super::claims::Claims;

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

/// The header of a token, which says what it is to be verified with.
pub(super) fn unverified_header(token: &str) -> Result<Header, AuthError> {
    let header = jsonwebtoken::decode_header(token).map_err(no_token)?;
    // RFC 7515, 4.1.11: no extension is understood here.
    if header.crit.is_some() {
        return Err(AuthError::Malformed("its header names critical extensions"));
    }
    Ok(header)
}

/// The claims of a token, which say nothing yet but whose keys it is to be verified with.
pub(super) fn unverified_claims(token: &str) -> Result<Claims, AuthError> {
    jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(no_token)
}

fn no_token(_: jsonwebtoken::errors::Error) -> AuthError {
    AuthError::Malformed("it is not a signed JWT")
}
