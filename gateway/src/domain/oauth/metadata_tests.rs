//! Documents of servers, honest and other.

use agentapi_crds::tenant_config::AuthorizationServer;
use serde_json::{Value, json};

use super::{Metadata, MetadataError, ProtectedResource, Revocation};

const ISSUER: &str = "https://example.eu.auth0.com/";

/// The members that matter of what Auth0 publishes under `/.well-known/openid-configuration`.
fn auth0() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://example.eu.auth0.com/authorize",
        "token_endpoint": "https://example.eu.auth0.com/oauth/token",
        "revocation_endpoint": "https://example.eu.auth0.com/oauth/revoke",
        "scopes_supported": ["openid", "profile", "offline_access"],
        "code_challenge_methods_supported": ["S256", "plain"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
    })
}

fn with(member: &str, value: Value) -> Result<Metadata, MetadataError> {
    let mut document = auth0();
    document[member] = value;
    Metadata::read(document.to_string().as_bytes(), ISSUER)
}

#[test]
fn auth0s_document_is_read() {
    let metadata = Metadata::read(auth0().to_string().as_bytes(), ISSUER).unwrap();
    assert_eq!(
        metadata.token_endpoint.as_str(),
        "https://example.eu.auth0.com/oauth/token"
    );
    let revoke = "https://example.eu.auth0.com/oauth/revoke".parse().unwrap();
    assert_eq!(metadata.revocation, Revocation::Standard(revoke));
    assert!(metadata.lists_offline_access && !metadata.secret_in_body);
}

#[test]
fn a_document_of_another_issuer_is_refused_to_the_letter() {
    for found in [
        "https://example.eu.auth0.com",
        "https://EXAMPLE.eu.auth0.com/",
        "https://evil.example/",
    ] {
        let refused = with("issuer", found.into());
        assert!(
            matches!(refused, Err(MetadataError::AnotherIssuer { .. })),
            "{found}: {refused:?}"
        );
    }
}

#[test]
fn a_server_that_does_not_check_s256_is_refused() {
    for methods in [json!(["plain"]), json!([]), json!(["s256"])] {
        let refused = with("code_challenge_methods_supported", methods.clone());
        assert!(
            matches!(refused, Err(MetadataError::NoPkce)),
            "{methods}: {refused:?}"
        );
    }
    let mut silent = auth0();
    silent
        .as_object_mut()
        .unwrap()
        .remove("code_challenge_methods_supported");
    let refused = Metadata::read(silent.to_string().as_bytes(), ISSUER);
    assert!(matches!(refused, Err(MetadataError::NoPkce)), "{refused:?}");
}

#[test]
fn urls_that_are_not_to_be_opened_are_refused() {
    for url in [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://example.eu.auth0.com/authorize",
        "https://user:secret@example.eu.auth0.com/authorize",
        "https://example.eu.auth0.com/authorize#x",
        "/authorize",
        "data:text/html,x",
        "a:$(open\u{20}-a\u{20}Calculator)",
    ] {
        for field in [
            "authorization_endpoint",
            "token_endpoint",
            "revocation_endpoint",
        ] {
            let refused = with(field, url.into());
            assert!(
                matches!(refused, Err(MetadataError::Url { .. })),
                "{field} {url}: {refused:?}"
            );
        }
    }
}

#[test]
fn a_server_that_takes_secrets_in_the_body_only_is_given_them_there() {
    let metadata = with(
        "token_endpoint_auth_methods_supported",
        json!(["client_secret_post", "none"]),
    );
    assert!(metadata.unwrap().secret_in_body);
}

#[test]
fn named_providers_have_the_endpoints_that_they_document() {
    let azure = AuthorizationServer::Azure {
        tenant: "common".to_owned(),
    };
    for (server, token_endpoint) in [
        (
            AuthorizationServer::GitHub,
            "https://github.com/login/oauth/access_token",
        ),
        (
            AuthorizationServer::Google,
            "https://oauth2.googleapis.com/token",
        ),
        (
            azure,
            "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        ),
    ] {
        let metadata = Metadata::published(&server).unwrap();
        assert_eq!(metadata.token_endpoint.as_str(), token_endpoint);
    }
}

const RESOURCE: &str = "https://tools.example.com/mcp";

fn resource(document: Value) -> Result<ProtectedResource, MetadataError> {
    ProtectedResource::read(document.to_string().as_bytes(), RESOURCE)
}

#[test]
fn a_resource_chooses_among_the_servers_that_it_names() {
    let named = ["https://a.example", "https://b.example"];
    let found = resource(json!({ "resource": RESOURCE, "authorization_servers": named })).unwrap();
    assert_eq!(
        found.authorization_server(None).unwrap(),
        "https://a.example"
    );
    assert_eq!(
        found
            .authorization_server(Some("https://b.example"))
            .unwrap(),
        "https://b.example"
    );
}

#[test]
fn a_resource_that_names_another_server_than_the_configured_one_is_refused() {
    let found = resource(
        json!({ "resource": RESOURCE, "authorization_servers": ["https://evil.example"] }),
    );
    let chosen = found.unwrap();
    let refused = chosen.authorization_server(Some("https://id.example"));
    assert!(
        matches!(refused, Err(MetadataError::NoAuthorizationServer)),
        "{refused:?}"
    );
}

#[test]
fn a_document_of_another_resource_is_refused() {
    let refused = resource(
        json!({ "resource": "https://other.example.com/mcp", "authorization_servers": [] }),
    );
    assert!(
        matches!(refused, Err(MetadataError::AnotherResource { .. })),
        "{refused:?}"
    );
}
