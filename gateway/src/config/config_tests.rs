use std::time::Duration;

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::read(
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

fn problem(name: &str, value: &str) -> String {
    read(&[(name, value)])
        .expect_err("the value must be refused")
        .to_string()
}

#[test]
fn the_documented_defaults_are_valid() {
    let config = read(&[]).expect("config/gateway.toml must be valid");
    assert_eq!(config.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.admin_listen.to_string(), "0.0.0.0:9090");
    assert_eq!(config.platform_namespace, "agentapi-system");
    assert!(
        config.outbound_allow.is_empty(),
        "nothing private may be dialled by default"
    );
}

#[test]
fn the_environment_overlays_the_defaults() {
    let config = read(&[
        ("AGENTAPI_LISTEN", "127.0.0.1:0"),
        ("AGENTAPI_OUTBOUND_ALLOW", "127.0.0.0/8, ::1/128"),
        ("AGENTAPI_SHUTDOWN_GRACE_SECONDS", "3"),
    ])
    .expect("all values are valid");
    assert_eq!(config.listen.port(), 0);
    assert_eq!(config.outbound_allow.len(), 2);
    assert_eq!(config.shutdown_grace, Duration::from_secs(3));
}

#[test]
fn a_number_is_not_mistaken_for_something_else_than_text() {
    let config = read(&[("AGENTAPI_PLATFORM_NAMESPACE", "42")]).expect("42 is a valid namespace");
    assert_eq!(config.platform_namespace, "42");
}

#[test]
fn a_misspelt_variable_is_refused_with_the_nearest_known_one() {
    assert_eq!(
        problem("AGENTAPI_DATABSE_URL", "postgres://x"),
        "environment variable AGENTAPI_DATABSE_URL is not known: did you mean AGENTAPI_DATABASE_URL?"
    );
}

#[test]
fn variables_of_kubernetes_and_of_other_programs_are_not_ours() {
    for name in [
        "AGENTAPI_GATEWAY_SERVICE_HOST",
        "AGENTAPI_GATEWAY_SERVICE_PORT_HTTP",
        "AGENTAPI_GATEWAY_PORT",
        "AGENTAPI_GATEWAY_PORT_8080_TCP_ADDR",
        "AGENTAPI_MIGRATION_URL",
        "AGENTAPI_TEST_REDIS_URL",
        "PATH",
    ] {
        assert!(
            read(&[(name, "anything")]).is_ok(),
            "{name} must not stop the gateway"
        );
    }
}

#[test]
fn every_invalid_value_is_refused_by_field_and_variable() {
    for (field, value) in [
        ("listen", "localhost"),
        ("admin_listen", "9090"),
        ("public_url", "agentapi.example"),
        ("public_url", "https://user:word@agentapi.example"),
        ("public_url", "https://agentapi.example/?a=b"),
        ("allowed_origins", "inspector.example.com"),
        ("allowed_origins", "https://inspector.example.com/"),
        ("database_url", "mysql://x"),
        ("redis_url", "memcached://x"),
        ("replicas", "0"),
        ("requests_under_way", "none"),
        ("encryption_keys", "first"),
        ("encryption_keys", "first:c2hvcnQ="),
        ("bridge_signing_key", "not a key"),
        ("platform_namespace", "Agent_API"),
        ("outbound_allow", "10.0.0.0"),
        ("trusted_proxies", "proxy"),
        ("request_body_bytes", "0"),
        ("request_timeout_seconds", "soon"),
        ("shutdown_grace_seconds", "-1"),
    ] {
        let variable = format!("AGENTAPI_{}", field.to_uppercase());
        let problem = problem(&variable, value);
        let start = format!("{field} (environment variable {variable}): expected ");
        assert!(problem.starts_with(&start), "{variable}={value}: {problem}");
    }
}

#[test]
fn an_encryption_key_id_cannot_be_used_twice() {
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let twice = format!("a:{key},a:{key}");
    assert!(problem("AGENTAPI_ENCRYPTION_KEYS", &twice).contains("no id twice"));
    let config = read(&[("AGENTAPI_ENCRYPTION_KEYS", &format!("a:{key},b:{key}"))]).expect("valid");
    let keys = config.encryption_keys.expect("there are keys");
    assert_eq!(keys.ids().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn encryption_keys_may_stand_in_a_file_instead() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    std::fs::write(&file, format!("a:{key}\nb:{key}\n")).expect("the file is ours");
    let path = file.path().display().to_string();
    let variable = "AGENTAPI_ENCRYPTION_KEYS_FILE";
    let keys = read(&[(variable, &path)]).expect("valid").encryption_keys;
    assert_eq!(keys.expect("there are keys").active(), "a");

    let both = read(&[
        (variable, &path),
        ("AGENTAPI_ENCRYPTION_KEYS", &format!("a:{key}")),
    ]);
    let both = both.expect_err("which one counts?").to_string();
    assert!(both.contains("set one"), "{both}");

    std::fs::write(&file, "\n").expect("the file is ours");
    assert!(problem(variable, &path).contains("holds no key"));
}

#[test]
fn secrets_show_neither_in_debug_nor_in_errors() {
    let secret = "hunter2-hunter2";
    let shown = format!(
        "{:?}",
        read(&[(
            "AGENTAPI_DATABASE_URL",
            &format!("postgres://u:{secret}@h/d")
        )])
    );
    assert!(!shown.contains(secret), "Debug shows the password: {shown}");
    for name in [
        "DATABASE_URL",
        "REDIS_URL",
        "ENCRYPTION_KEYS",
        "BRIDGE_SIGNING_KEY",
    ] {
        let shown = problem(&format!("AGENTAPI_{name}"), secret);
        assert!(
            !shown.contains(secret),
            "the error about {name} shows its value: {shown}"
        );
    }
}

#[test]
fn a_hosts_file_that_is_not_there_is_refused_at_start() {
    let problem = problem("AGENTAPI_HOSTS_FILE", "/does/not/exist");
    assert!(problem.contains("AGENTAPI_HOSTS_FILE"), "{problem}");
}
