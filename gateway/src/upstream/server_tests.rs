use agentapi_crds::tenant_config::{CredentialHeader, SecretReference};

use super::*;
use crate::tenants::test_config::{NoSecrets, server as server_config};

fn environment() -> Environment {
    Environment {
        dialer: Dialer::new(vec![]),
        egress: Arc::new([]),
        secrets: Arc::new(NoSecrets),
        tokens: Arc::new(crate::upstream::NoTokens),
        processes: false,
        bridges: None,
        metrics: crate::telemetry::Metrics::new(),
    }
}

fn remote(url: &str) -> ServerConfig {
    let mut config = server_config("notes");
    config.target = ServerTarget::Remote {
        url: url.to_owned(),
        transport: RemoteTransport::StreamableHttp,
        ca_bundle: None,
    };
    config
}

#[test]
fn urls_that_must_not_be_called_are_refused() {
    for url in [
        "notes",
        "/mcp",
        "ftp://notes.example/mcp",
        "file:///etc/passwd",
        "unix:/run/x.sock",
        "http://user:secret@notes.example/mcp",
        "http://user@notes.example/mcp",
        "http://",
    ] {
        let refused = Server::compile(&remote(url), &environment());
        assert!(matches!(refused, Err(CompileError::Url(_))), "{url}");
    }
}

#[test]
fn every_spelling_of_an_address_is_understood_as_browsers_do() {
    for (url, host) in [
        ("http://127.1/mcp", "127.0.0.1"),
        ("http://0x7f000001/mcp", "127.0.0.1"),
        ("http://2130706433/mcp", "127.0.0.1"),
        ("http://017700000001/mcp", "127.0.0.1"),
        ("http://①②⑦.0.0.1/mcp", "127.0.0.1"),
        ("http://[::ffff:127.0.0.1]/mcp", "[::ffff:7f00:1]"),
    ] {
        assert_eq!(endpoint(url).unwrap().host(), Some(host), "{url}");
    }
}

#[test]
fn what_is_not_served_yet_is_refused_by_name() {
    let mut user = remote("https://notes.example/mcp");
    user.credential_scope = CredentialScope::User;
    let mut sse = remote("https://notes.example/mcp");
    sse.target = ServerTarget::Remote {
        url: "https://notes.example/sse".into(),
        transport: RemoteTransport::Sse,
        ca_bundle: None,
    };
    for (config, name) in [
        (user, "credentialScope: User without auth.oauth"),
        (sse, "remote.transport: Sse"),
    ] {
        let refused = Server::compile(&config, &environment());
        assert!(
            matches!(refused, Err(CompileError::NotSupported(found)) if found == name),
            "{name}"
        );
    }
}

#[test]
fn child_processes_are_refused_outside_of_the_embedded_mode() {
    let mut config = server_config("notes");
    config.target = ServerTarget::Process {
        command: vec!["sh".into()],
        args: vec![],
        env: Default::default(),
    };
    let refused = Server::compile(&config, &environment());
    assert!(matches!(refused, Err(CompileError::Process)), "{refused:?}");
}

#[test]
fn a_header_field_that_cannot_exist_is_refused() {
    let mut config = remote("https://notes.example/mcp");
    config.credentials.push(CredentialHeader {
        header: "not a name".into(),
        prefix: String::new(),
        secret: SecretReference {
            namespace: "org-acme".into(),
            name: "token".into(),
            key: "token".into(),
            resource_version: "1".into(),
        },
    });
    let refused = Server::compile(&config, &environment());
    assert!(
        matches!(refused, Err(CompileError::HeaderName(_))),
        "{refused:?}"
    );
}

#[test]
fn a_change_of_egress_makes_another_server() {
    let config = remote("https://notes.example/mcp");
    let server = Server::compile(&config, &environment()).unwrap();
    assert!(server.is_current(&config, &environment()));
    let egress = agentapi_crds::tenant_config::EgressConfig {
        destination: agentapi_crds::tenant_config::EgressDestination::Host("notes.example".into()),
        ports: vec![443],
    };
    let wider = Environment {
        egress: Arc::new([egress]),
        ..environment()
    };
    assert!(!server.is_current(&config, &wider));
}
