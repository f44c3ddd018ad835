//! Answers of token endpoints (RFC 6749, sections 5.1 and 5.2).

use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;

use super::profile::Profile;
use super::redirected::shown;

/// Largest number of seconds that a token is believed to live: a year.
const LONGEST: u64 = 365 * 24 * 60 * 60;

/// Tokens, as they were given.
#[derive(Clone, Debug)]
pub struct TokenSet {
    /// What is sent with requests.
    pub access_token: SecretString,
    /// What another access token is had with; many answers have none.
    pub refresh_token: Option<SecretString>,
    /// Says who the user is, where `openid` was asked for.
    pub id_token: Option<SecretString>,
    /// Seconds until the access token ends, where that is said.
    pub expires_in: Option<u64>,
    /// Scopes that were granted, where they are said.
    pub scopes: Option<Vec<String>>,
}

/// Why there are no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The code or the refresh token is worth nothing: only consent helps.
    #[error("the grant is refused ({0})")]
    Grant(String),
    /// The request was refused for another reason, such as the client's secret.
    #[error("the request is refused ({0})")]
    Request(String),
    /// The server cannot answer now, and says so: nothing was used up.
    #[error("the authorization server is busy (status {0})")]
    Busy(StatusCode),
    /// What came is no answer; whether the grant was used up is not known.
    #[error("the authorization server's answer cannot be used: {0}")]
    Unusable(&'static str),
}

#[derive(Default, Deserialize)]
struct Answer {
    access_token: Option<String>,
    token_type: Option<String>,
    refresh_token: Option<String>,
    id_token: Option<String>,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    scope: Option<String>,
    error: Option<String>,
}

impl TokenSet {
    /// Reads an answer, whatever its status: GitHub says errors with 200.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn read(
        status: StatusCode,
        content_type: &str,
        body: &[u8],
        profile: &Profile,
    ) -> Result<Self, TokenError> {
        if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
            return Err(TokenError::Busy(status));
        }
        if status.is_server_error() {
            return Err(TokenError::Unusable("a failure of the server"));
        }
        let answer = parse(content_type, body);
        match answer {
            Some(Answer {
                error: Some(error), ..
            }) => Err(refusal(&error)),
            _ if status.is_client_error() => Err(TokenError::Request(status.to_string())),
            _ if !status.is_success() => Err(TokenError::Unusable("a redirect")),
            Some(answer) => answer.into_tokens(profile),
            None => Err(TokenError::Unusable("it is neither JSON nor a form")),
        }
    }
}

impl Answer {
    fn into_tokens(self, profile: &Profile) -> Result<TokenSet, TokenError> {
        let access_token = self.access_token.filter(|token| sendable(token));
        let access_token = access_token.ok_or(TokenError::Unusable("it has no access token"))?;
        let bearer = self
            .token_type
            .is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
        if !bearer {
            return Err(TokenError::Unusable("its token is no bearer token"));
        }
        let separates =
            |character: char| character == ' ' || (profile.commas_in_scopes && character == ',');
        let scopes = self.scope.map(|scope| {
            let scopes = scope.split(separates).filter(|scope| !scope.is_empty());
            scopes.map(str::to_owned).collect()
        });
        let given = |token: Option<String>| token.filter(|token| !token.is_empty());
        Ok(TokenSet {
            access_token: access_token.into(),
            refresh_token: given(self.refresh_token).map(SecretString::from),
            id_token: given(self.id_token).map(SecretString::from),
            expires_in: self.expires_in.map(|seconds| seconds.min(LONGEST)),
            scopes,
        })
    }
}

/// RFC 6749 wants JSON; GitHub answers with a form unless it is asked for JSON.
fn parse(content_type: &str, body: &[u8]) -> Option<Answer> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return serde_json::from_slice(body).ok();
    }
    let mut answer = Answer::default();
    for (name, value) in url::form_urlencoded::parse(body) {
        let value = Some(value.into_owned());
        match &*name {
            "access_token" => answer.access_token = value,
            "token_type" => answer.token_type = value,
            "refresh_token" => answer.refresh_token = value,
            "expires_in" => answer.expires_in = value.and_then(|value| value.parse().ok()),
            "scope" => answer.scope = value,
            "error" => answer.error = value,
            _ => {}
        }
    }
    Some(answer)
}

/// Codes that say that the grant itself is worth nothing: RFC 6749's, GitHub's
/// for codes and for refresh tokens, and OpenID Connect's for consent that is lacking.
fn refusal(error: &str) -> TokenError {
    const OF_THE_GRANT: [&str; 7] = [
        "invalid_grant",
        "bad_verification_code",
        "bad_refresh_token",
        "interaction_required",
        "consent_required",
        "login_required",
        "expired_token",
    ];
    match error {
        "temporarily_unavailable" | "slow_down" => {
            TokenError::Busy(StatusCode::SERVICE_UNAVAILABLE)
        }
        _ if OF_THE_GRANT.contains(&error) => TokenError::Grant(shown(error)),
        _ => TokenError::Request(shown(error)),
    }
}

/// Whether a token can stand in a header field (RFC 6750, section 2.1, and what is in use).
fn sendable(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A number, also as text, as older Microsoft endpoints send it.
fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(f64),
        Text(String),
        Null,
    }
    Ok(match Seconds::deserialize(deserializer)? {
        Seconds::Number(number) if number >= 0.0 => Some(number as u64),
        Seconds::Text(text) => text.parse().ok(),
        Seconds::Number(_) | Seconds::Null => None,
    })
}
