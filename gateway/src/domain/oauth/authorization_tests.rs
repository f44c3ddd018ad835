//! What browsers are sent away with, and what they bring back.

use std::collections::BTreeMap;

use agentapi_crds::tenant_config::AuthorizationServer;
use secrecy::ExposeSecret;

use super::{
    AuthorizationRequest, AuthorizationUrlError, Metadata, Profile, RedirectError, Redirected,
    Verifier,
};

const RESOURCE: &str = "https://tools.example.com/mcp";

fn metadata(server: &AuthorizationServer) -> Metadata {
    Metadata::published(server).unwrap_or_else(|| Metadata {
        issuer: "https://id.example.com/".to_owned(),
        issuer_rule: super::IssuerRule::Exact("https://id.example.com/".to_owned()),
        lists_offline_access: true,
        ..Metadata::published(&AuthorizationServer::GitHub).unwrap()
    })
}

/// The parameters of the URL for a provider; `stated` if the configuration states the resource.
fn parameters(server: &AuthorizationServer, stated: bool) -> BTreeMap<String, String> {
    let verifier = Verifier::of_bytes([7; 32]);
    let request = AuthorizationRequest {
        client_id: "client",
        redirect_uri: "https://agentapi.example/v1/oauth/callback",
        scopes: &["read".to_owned(), "write".to_owned()],
        resource: RESOURCE,
        resource_is_stated: stated,
        state: "state",
        verifier: &verifier,
    };
    let url = request
        .url(&metadata(server), &Profile::of(server))
        .unwrap();
    url.query_pairs().into_owned().collect()
}

fn oidc() -> AuthorizationServer {
    AuthorizationServer::Oidc {
        issuer: "https://id.example.com/".to_owned(),
    }
}

#[test]
fn every_request_proves_itself_by_s256_and_names_its_redirect_exactly() {
    for server in [
        AuthorizationServer::GitHub,
        AuthorizationServer::Google,
        oidc(),
    ] {
        let parameters = parameters(&server, false);
        let expected = Verifier::of_bytes([7; 32]).challenge();
        assert_eq!(parameters["code_challenge"], expected, "{server:?}");
        assert_eq!(parameters["code_challenge_method"], "S256", "{server:?}");
        assert_eq!(parameters["response_type"], "code", "{server:?}");
        assert_eq!(
            parameters["redirect_uri"],
            "https://agentapi.example/v1/oauth/callback"
        );
    }
}

#[test]
fn google_is_asked_for_offline_access_by_its_own_parameters() {
    let parameters = parameters(&AuthorizationServer::Google, false);
    assert_eq!(
        (&*parameters["access_type"], &*parameters["prompt"]),
        ("offline", "consent")
    );
    assert_eq!(parameters["scope"], "read write");
    assert!(!parameters.contains_key("resource"));
}

#[test]
fn azure_is_asked_by_scope_and_never_by_resource() {
    let azure = AuthorizationServer::Azure {
        tenant: "contoso.example".to_owned(),
    };
    let parameters = parameters(&azure, true);
    assert_eq!(parameters["scope"], "read write offline_access");
    assert!(!parameters.contains_key("resource") && !parameters.contains_key("audience"));
}

#[test]
fn auth0_is_given_an_audience_if_one_is_stated() {
    let auth0 = AuthorizationServer::Auth0 {
        domain: "example.eu.auth0.com".to_owned(),
    };
    assert_eq!(parameters(&auth0, true)["audience"], RESOURCE);
    assert!(!parameters(&auth0, false).contains_key("audience"));
}

#[test]
fn other_providers_are_given_the_resource_and_asked_for_consent_to_offline_access() {
    let parameters = parameters(&oidc(), false);
    assert_eq!(parameters["resource"], RESOURCE);
    assert_eq!(parameters["scope"], "read write offline_access");
    assert_eq!(parameters["prompt"], "consent");
}

#[test]
fn an_endpoint_that_brings_our_parameters_is_refused() {
    let verifier = Verifier::of_bytes([7; 32]);
    for query in [
        "redirect_uri=https://evil.example",
        "code_challenge_method=plain",
        "request_uri=urn:x",
        "%73tate=x",
    ] {
        let mut server = metadata(&oidc());
        server.authorization_endpoint.set_query(Some(query));
        let request = AuthorizationRequest {
            client_id: "client",
            redirect_uri: "https://agentapi.example/v1/oauth/callback",
            scopes: &[],
            resource: RESOURCE,
            resource_is_stated: false,
            state: "state",
            verifier: &verifier,
        };
        let refused = request.url(&server, &Profile::of(&oidc()));
        assert!(
            matches!(refused, Err(AuthorizationUrlError::Parameter(_))),
            "{query}: {refused:?}"
        );
    }
}

#[test]
fn an_endpoints_own_query_stays() {
    let verifier = Verifier::of_bytes([7; 32]);
    let mut server = metadata(&oidc());
    server
        .authorization_endpoint
        .set_query(Some("policy=sign-in"));
    let request = AuthorizationRequest {
        client_id: "client",
        redirect_uri: "https://agentapi.example/v1/oauth/callback",
        scopes: &[],
        resource: RESOURCE,
        resource_is_stated: false,
        state: "state",
        verifier: &verifier,
    };
    let url = request.url(&server, &Profile::of(&oidc())).unwrap();
    assert!(
        url.query()
            .unwrap()
            .starts_with("policy=sign-in&response_type=code"),
        "{url}"
    );
}

fn code(query: &str, server: &Metadata) -> Result<String, RedirectError> {
    let redirected = Redirected::read(query)?;
    Ok(redirected.code_of(server)?.expose_secret().to_owned())
}

#[test]
fn a_code_of_the_server_that_was_asked_is_taken() {
    let server = metadata(&oidc());
    assert_eq!(
        code(
            "state=s&code=c&iss=https%3A%2F%2Fid.example.com%2F",
            &server
        ),
        Ok("c".to_owned())
    );
    assert_eq!(code("state=s&code=c", &server), Ok("c".to_owned()));
}

#[test]
fn another_issuer_is_refused_to_the_letter() {
    let server = metadata(&oidc());
    for issuer in [
        "https://id.example.com",
        "https://evil.example/",
        "https://ID.example.com/",
        "",
    ] {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("state", "s"), ("code", "c"), ("iss", issuer)])
            .finish();
        assert_eq!(
            code(&query, &server),
            Err(RedirectError::AnotherIssuer),
            "{issuer}"
        );
    }
}

#[test]
fn a_server_that_always_names_itself_must() {
    let server = Metadata {
        always_names_issuer: true,
        ..metadata(&oidc())
    };
    assert_eq!(
        code("state=s&code=c", &server),
        Err(RedirectError::NoIssuer)
    );
}

#[test]
fn a_parameter_with_two_meanings_is_refused() {
    for query in [
        "state=a&state=b&code=c",
        "state=a&code=b&code=c",
        "state=a&code=b&iss=x&iss=y",
    ] {
        assert!(
            matches!(
                code(query, &metadata(&oidc())),
                Err(RedirectError::Repeated(_))
            ),
            "{query}"
        );
    }
}

#[test]
fn an_error_counts_even_beside_a_code_and_is_shown_plainly() {
    let refused = code(
        "state=s&code=c&error=access_denied%0A%3Cb%3E%1B",
        &metadata(&oidc()),
    );
    assert_eq!(
        refused,
        Err(RedirectError::Refused("access_denied<b>".to_owned()))
    );
}
