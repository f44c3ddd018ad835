//! Finding the user, organization and roles in the claims of a token.

use serde_json::{Map, Value};

use super::AuthError;

/// All claims of a token.
pub(super) type Claims = Map<String, Value>;

/// Longest user id or role, in bytes: both become part of keys and records.
const MAX_LENGTH: usize = 256;
/// Most roles a caller may have.
const MAX_ROLES: usize = 64;

/// The value at a dotted path. A claim whose own name holds dots, such as a
/// URL, is found before the path is split.
pub(super) fn at<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    rest.split('.')
        .try_fold(claims.get(first)?, |value, member| value.get(member))
}

/// Whether `aud` names an audience (RFC 7519, 4.1.3).
pub(super) fn is_for(claims: &Claims, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(|found| found == audience),
        Some(found) => found == audience,
        None => false,
    }
}

/// `exp`, in seconds since 1970; 0 if there is none.
pub(super) fn expires(claims: &Claims) -> u64 {
    let expires = claims.get("exp").and_then(Value::as_f64);
    expires.map_or(0, |expires| expires as u64)
}

/// The user's id.
pub(super) fn user(claims: &Claims, path: &str) -> Result<String, AuthError> {
    match at(claims, path) {
        Some(Value::String(user)) if usable(user) => Ok(user.clone()),
        Some(_) => Err(AuthError::Claims(
            "the user is not a usable string of at most 256 bytes",
        )),
        None => Err(AuthError::Claims("there is no user")),
    }
}

/// The roles: none, one, or a list.
pub(super) fn roles(claims: &Claims, path: &str) -> Result<Vec<String>, AuthError> {
    let unusable =
        || AuthError::Claims("the roles are not a string or a list of at most 64 usable strings");
    let role = |value: &Value| {
        value
            .as_str()
            .filter(|role| usable(role))
            .map(str::to_owned)
            .ok_or_else(unusable)
    };
    match at(claims, path) {
        None | Some(Value::Null) => Ok(vec![]),
        Some(Value::Array(roles)) if roles.len() <= MAX_ROLES => roles.iter().map(role).collect(),
        Some(value @ Value::String(_)) => Ok(vec![role(value)?]),
        Some(_) => Err(unusable()),
    }
}

fn usable(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_LENGTH && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_path_leads_into_nested_claims() {
        let claims = claims(json!({ "app_metadata": { "org": "acme" } }));
        assert_eq!(at(&claims, "app_metadata.org"), Some(&json!("acme")));
    }

    #[test]
    fn a_claim_named_by_a_url_is_found_whole() {
        let claims = claims(json!({ "https://acme.example/org": "acme" }));
        assert_eq!(
            at(&claims, "https://acme.example/org"),
            Some(&json!("acme"))
        );
    }

    #[test]
    fn roles_may_be_absent_one_or_many() {
        for (value, expected) in [
            (json!({}), vec![]),
            (json!({ "roles": "a" }), vec!["a"]),
            (json!({ "roles": ["a", "b"] }), vec!["a", "b"]),
        ] {
            assert_eq!(roles(&claims(value), "roles").unwrap(), expected);
        }
    }

    #[test]
    fn unusable_users_are_refused() {
        for user_claim in [json!(""), json!(7), json!("a\nb"), json!("x".repeat(257))] {
            assert!(
                user(&claims(json!({ "sub": user_claim })), "sub").is_err(),
                "{user_claim}"
            );
        }
    }
}
