//! Answers as each provider documents them.

use agentapi_crds::tenant_config::AuthorizationServer;
use http::StatusCode;
use secrecy::ExposeSecret;

use super::{Profile, TokenError, TokenSet};

const JSON: &str = "application/json; charset=utf-8";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

fn read(
    server: &AuthorizationServer,
    status: u16,
    content_type: &str,
    body: &str,
) -> Result<TokenSet, TokenError> {
    let status = StatusCode::from_u16(status).unwrap();
    TokenSet::read(status, content_type, body.as_bytes(), &Profile::of(server))
}

fn github(body: &str) -> Result<TokenSet, TokenError> {
    read(&AuthorizationServer::GitHub, 200, JSON, body)
}

fn oidc(status: u16, body: &str) -> Result<TokenSet, TokenError> {
    let server = AuthorizationServer::Oidc {
        issuer: "https://id.example.com".to_owned(),
    };
    read(&server, status, JSON, body)
}

/// What can be compared of tokens.
fn parts(tokens: &TokenSet) -> (&str, Option<&str>, Option<u64>) {
    let refresh = tokens
        .refresh_token
        .as_ref()
        .map(|token| token.expose_secret());
    (
        tokens.access_token.expose_secret(),
        refresh,
        tokens.expires_in,
    )
}

#[test]
fn githubs_scopes_are_separated_by_commas() {
    // "Authorizing OAuth apps", 2. Users are redirected back to your site.
    let tokens = github(
        r#"{"access_token":"gho_16C7e42F292c6912E7710c838347Ae178B4a","scope":"repo,gist","token_type":"bearer"}"#,
    );
    let tokens = tokens.unwrap();
    assert_eq!(
        tokens.scopes.as_deref(),
        Some(&["repo".to_owned(), "gist".to_owned()][..])
    );
    assert_eq!(
        parts(&tokens),
        ("gho_16C7e42F292c6912E7710c838347Ae178B4a", None, None)
    );
}

#[test]
fn githubs_answer_may_be_a_form() {
    let form =
        "access_token=gho_16C7e42F292c6912E7710c838347Ae178B4a&scope=repo%2Cgist&token_type=bearer";
    let tokens = read(&AuthorizationServer::GitHub, 200, FORM, form).unwrap();
    assert_eq!(parts(&tokens).0, "gho_16C7e42F292c6912E7710c838347Ae178B4a");
    assert_eq!(tokens.scopes.map(|scopes| scopes.len()), Some(2));
}

#[test]
fn githubs_errors_come_with_status_200() {
    // "Troubleshooting OAuth app access token request errors".
    let expired = github(
        r#"{"error":"bad_verification_code","error_description":"The code passed is incorrect or expired.","error_uri":"https://docs.github.com/x"}"#,
    );
    assert!(matches!(expired, Err(TokenError::Grant(_))), "{expired:?}");
    let client = github(r#"{"error":"incorrect_client_credentials","error_description":"x"}"#);
    assert!(matches!(client, Err(TokenError::Request(_))), "{client:?}");
}

#[test]
fn github_apps_have_tokens_that_end() {
    // "Generating a user access token for a GitHub App".
    let tokens = github(
        r#"{"access_token":"ghu_16C7e42F292c6912E7710c838347Ae178B4a","expires_in":28800,"refresh_token":"ghr_1B4a2e77838347a7E420ce178F2E7c6912E169246c34E1ccbF66C46812d16D5B1A9Dc86A1498","refresh_token_expires_in":15811200,"scope":"","token_type":"bearer"}"#,
    );
    let tokens = tokens.unwrap();
    assert_eq!(tokens.expires_in, Some(28800));
    assert_eq!(tokens.scopes, Some(vec![]));
}

#[test]
fn googles_second_answer_has_no_refresh_token() {
    // "Using OAuth 2.0 for Web Server Applications", refreshing an access token.
    let tokens = read(&AuthorizationServer::Google, 200, JSON, r#"{"access_token":"1/fFAGRNJru1FTz70BzhT3Zg","expires_in":3920,"scope":"https://www.googleapis.com/auth/drive.metadata.readonly https://www.googleapis.com/auth/calendar.readonly","token_type":"Bearer"}"#).unwrap();
    assert_eq!(
        parts(&tokens),
        ("1/fFAGRNJru1FTz70BzhT3Zg", None, Some(3920))
    );
}

#[test]
fn azures_answers_may_have_numbers_as_text() {
    // "Microsoft identity platform and OAuth 2.0 authorization code flow"; v1 endpoints quote numbers.
    let azure = AuthorizationServer::Azure {
        tenant: "common".to_owned(),
    };
    let body = r#"{"access_token":"eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9","token_type":"Bearer","expires_in":"3599","scope":"https://graph.microsoft.com/mail.read","refresh_token":"AwABAAAAvPM1KaPlrEqdFSBzjqfTGAMxZGUTdM0t4B4","id_token":"eyJ0eXAiOiJKV1Q"}"#;
    let tokens = read(&azure, 200, JSON, body).unwrap();
    assert_eq!(tokens.expires_in, Some(3599));
    let refused = r#"{"error":"invalid_grant","error_description":"AADSTS70008: The provided authorization code or refresh token has expired","error_codes":[70008],"suberror":"token_expired"}"#;
    let refused = read(&azure, 400, JSON, refused);
    assert!(matches!(refused, Err(TokenError::Grant(_))), "{refused:?}");
}

#[test]
fn auth0_replaces_refresh_tokens() {
    // "Refresh Token Rotation".
    let auth0 = AuthorizationServer::Auth0 {
        domain: "example.eu.auth0.com".to_owned(),
    };
    let body = r#"{"access_token":"eyJz93a","refresh_token":"GEbRxBN.edjnXbL","id_token":"eyJ0XAi","token_type":"Bearer","expires_in":86400}"#;
    let tokens = read(&auth0, 200, JSON, body).unwrap();
    assert_eq!(
        parts(&tokens),
        ("eyJz93a", Some("GEbRxBN.edjnXbL"), Some(86400))
    );
    let reused = read(
        &auth0,
        403,
        JSON,
        r#"{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}"#,
    );
    assert!(matches!(reused, Err(TokenError::Grant(_))), "{reused:?}");
}

#[test]
fn a_server_that_says_it_is_busy_has_used_nothing_up() {
    for status in [429, 503] {
        let busy = oidc(status, "<html>");
        assert!(
            matches!(busy, Err(TokenError::Busy(_))),
            "{status}: {busy:?}"
        );
    }
    let busy = oidc(400, r#"{"error":"temporarily_unavailable"}"#);
    assert!(matches!(busy, Err(TokenError::Busy(_))), "{busy:?}");
}

#[test]
fn what_says_nothing_of_the_grant_leaves_it_unknown() {
    for (status, body) in [
        (500, "{}"),
        (502, "<html>"),
        (302, ""),
        (200, "<html>"),
        (200, "{}"),
    ] {
        let unknown = oidc(status, body);
        assert!(
            matches!(unknown, Err(TokenError::Unusable(_))),
            "{status} {body}: {unknown:?}"
        );
    }
}

#[test]
fn a_token_that_is_no_bearer_or_cannot_be_sent_is_refused() {
    for body in [
        r#"{"access_token":"a","token_type":"DPoP"}"#,
        r#"{"access_token":"a"}"#,
        r#"{"access_token":"a\r\nx: y","token_type":"Bearer"}"#,
        r#"{"access_token":"","token_type":"Bearer"}"#,
    ] {
        assert!(
            matches!(oidc(200, body), Err(TokenError::Unusable(_))),
            "{body}"
        );
    }
}

#[test]
fn no_token_is_shown_by_debug_output() {
    let tokens = oidc(
        200,
        r#"{"access_token":"hunter2","refresh_token":"hunter3","token_type":"Bearer"}"#,
    );
    assert!(!format!("{tokens:?}").contains("hunter"), "{tokens:?}");
}

proptest::proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic(status in 100u16..600, form: bool, body: Vec<u8>) {
        let content_type = if form { FORM } else { JSON };
        let status = StatusCode::from_u16(status).unwrap();
        let profile = Profile::of(&AuthorizationServer::GitHub);
        drop(TokenSet::read(status, content_type, &body, &profile));
    }
}
