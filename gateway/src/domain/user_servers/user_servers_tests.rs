use std::collections::BTreeMap;
use std::time::Duration;

use agentapi_crds::mcp_server::{Resilience, ServerLimits};
use agentapi_crds::tenant_config::{ServerTarget, ToolsConfig};
use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::*;

fn headers(fields: &[(&str, &str)]) -> Result<(CredentialShape, Option<SecretString>), Unfit> {
    let fields = fields
        .iter()
        .map(|(name, secret)| ((*name).to_owned(), (*secret).into()));
    Credentials::Headers(fields.collect()).check()
}

fn settings(url: &str) -> Result<Settings, Unfit> {
    Settings::check(
        url.to_owned(),
        CredentialShape::None,
        ToolsConfig::default(),
    )
}

#[test]
fn a_bearer_token_is_sent_as_one() {
    let (shape, text) = Credentials::Bearer("hunter2".into()).check().unwrap();
    let text = text.unwrap();
    let settings = Settings::check(
        "https://a.example/mcp".into(),
        shape,
        ToolsConfig::default(),
    );
    let server = settings.unwrap().server("notes", Uuid::nil(), 1);
    let [field] = server.credentials.as_slice() else {
        panic!("one field: {:?}", server.credentials)
    };
    assert_eq!(
        (field.header.as_str(), field.prefix.as_str()),
        ("authorization", "Bearer ")
    );
    let value = value_of(&text, &field.secret.key).unwrap();
    assert_eq!(value.expose_secret(), "hunter2");
}

#[test]
fn header_fields_are_known_by_their_names_in_lower_case() {
    let (shape, text) = headers(&[("X-Api-Key", "a\"b"), ("x-tenant", "7")]).unwrap();
    let names = ["x-api-key", "x-tenant"].map(str::to_owned);
    assert_eq!(shape, CredentialShape::Headers(names.to_vec()));
    let value = value_of(&text.unwrap(), "x-api-key").unwrap();
    assert_eq!(value.expose_secret(), "a\"b");
}

#[test]
fn fields_of_the_protocol_and_names_that_are_none_are_refused() {
    for name in [
        "Host",
        "MCP-Session-Id",
        "Proxy-Authorization",
        "Cookie",
        "a b",
        "",
        "ä",
    ] {
        assert!(
            matches!(headers(&[(name, "x")]), Err(Unfit::Header(_))),
            "{name}"
        );
    }
}

#[test]
fn a_field_stands_once_and_eight_at_most() {
    assert_eq!(
        headers(&[("X-A", "1"), ("x-a", "2")]).unwrap_err(),
        Unfit::Headers
    );
    assert_eq!(headers(&[]).unwrap_err(), Unfit::Headers);
    let many: BTreeMap<_, _> = (0..9)
        .map(|number| (format!("x-{number}"), "1".into()))
        .collect();
    assert_eq!(
        Credentials::Headers(many).check().unwrap_err(),
        Unfit::Headers
    );
}

#[test]
fn secrets_that_would_break_out_of_their_field_are_refused_and_not_repeated() {
    let long = "x".repeat(8193);
    for secret in ["", " ", "a\r\nb: c", "a\u{0}", "ü", " a", long.as_str()] {
        let refused = Credentials::Bearer(secret.into()).check().unwrap_err();
        assert_eq!(
            refused,
            Unfit::Secret("auth.bearer".to_owned()),
            "{secret:?}"
        );
    }
}

#[test]
fn names_are_those_of_kubernetes() {
    for name in ["notes", "a", "0-1"] {
        assert_eq!(check_name(name), Ok(()), "{name}");
    }
    for name in ["", "Notes", "a_b", "a.b", "-a", "a-", "ä", &"a".repeat(64)] {
        assert_eq!(check_name(name), Err(Unfit::Name), "{name}");
    }
}

#[test]
fn urls_that_cannot_be_called_are_refused() {
    for url in [
        "notes",
        "/mcp",
        "ftp://a.example",
        "https://u:p@a.example",
        "https://a.example/#x",
        &format!("https://a.example/{}", "x".repeat(1024)),
    ] {
        assert!(matches!(settings(url), Err(Unfit::Url(_))), "{url}");
    }
    assert!(settings("http://127.0.0.1:8080/mcp?a=b").is_ok());
}

#[test]
fn prefixes_and_globs_are_bounded() {
    let tools = |prefix: Option<&str>, allow: Vec<String>| {
        let tools = ToolsConfig {
            prefix: prefix.map(str::to_owned),
            allow,
            deny: vec![],
        };
        Settings::check("https://a.example".into(), CredentialShape::None, tools)
    };
    for prefix in ["", "a__b", "-a", "a b"] {
        assert_eq!(
            tools(Some(prefix), vec![]).unwrap_err(),
            Unfit::Prefix,
            "{prefix}"
        );
    }
    for globs in [
        vec![String::new()],
        vec!["x".repeat(129)],
        vec!["x".to_owned(); 129],
    ] {
        assert_eq!(tools(None, globs).unwrap_err(), Unfit::Globs("allow"));
    }
    assert!(tools(Some("My-Notes"), vec!["read_*".to_owned()]).is_ok());
}

#[test]
fn credentials_stay_with_scheme_host_and_port() {
    let own = settings("https://a.example/mcp").unwrap();
    assert!(own.is_same_origin("https://a.example:443/other"));
    for url in [
        "http://a.example/mcp",
        "https://b.example/mcp",
        "https://a.example:8443/mcp",
        "https://a.example.b.example/mcp",
        "nothing",
    ] {
        assert!(!own.is_same_origin(url), "{url}");
    }
}

#[test]
fn every_change_makes_another_server() {
    let settings = settings("https://a.example/mcp").unwrap();
    let bearer = Settings {
        credentials: CredentialShape::Bearer,
        ..settings
    };
    let first = bearer.server("notes", Uuid::nil(), 1);
    assert_ne!(first, bearer.server("notes", Uuid::nil(), 2));
    assert_ne!(first, bearer.server("notes", Uuid::max(), 1));
}

/// A user's own server is as patient as one of Kubernetes that says nothing.
#[test]
fn bounds_are_the_defaults_of_kubernetes_servers() {
    let server = settings("https://a.example")
        .unwrap()
        .server("a", Uuid::nil(), 1);
    let (limits, resilience) = (ServerLimits::default(), Resilience::default());
    let duration = |text: &str| agentapi_crds::duration::parse(text).unwrap();
    assert_eq!(
        (server.limits.request_bytes, server.limits.result_bytes),
        (limits.request_bytes, limits.result_bytes)
    );
    assert_eq!(
        Duration::from_secs(server.timeout_seconds),
        duration(&resilience.timeout)
    );
    assert_eq!(server.retries.attempts, resilience.retries.attempts);
    assert_eq!(
        Duration::from_millis(server.retries.backoff_milliseconds),
        duration(&resilience.retries.backoff)
    );
    assert_eq!(server.breaker.failures, resilience.breaker.failures);
    assert_eq!(
        Duration::from_secs(server.breaker.open_seconds),
        duration(&resilience.breaker.open_for)
    );
    assert!(matches!(server.target, ServerTarget::Remote { .. }));
}

proptest! {
    #[test]
    fn whatever_secrets_are_taken_come_back(
        fields in prop::collection::btree_map("[a-z][a-z-]{1,9}x", "[!-~]([ -~]{0,20}[!-~])?", 1..8),
    ) {
        let given = fields.iter().map(|(name, secret)| (name.clone(), secret.as_str().into()));
        let (_, text) = Credentials::Headers(given.collect()).check().unwrap();
        let text = text.unwrap();
        for (name, secret) in &fields {
            let value = value_of(&text, name).unwrap();
            prop_assert_eq!(value.expose_secret(), secret);
        }
    }

    #[test]
    fn no_text_makes_reading_secrets_fail_otherwise_than_by_nothing(text in ".*") {
        let _ = value_of(&text.into(), "x");
    }
}
