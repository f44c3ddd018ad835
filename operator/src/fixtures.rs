//! Resources for the tests of this crate, written as people write them.

use agentapi_crds::{McpServer, Organization, PromptPolicy, names};
use serde::de::DeserializeOwned;

use crate::inputs::SecretMetadata;
use crate::organization::{ValidatedOrganization, validate};
use crate::settings::{Placement, Settings};

/// UID of every organization of the tests.
pub(crate) const UID: &str = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";

fn read<K: DeserializeOwned>(kind: &str, metadata: &str, spec: &str) -> K {
    let indented: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    let text = format!(
        "apiVersion: agentapi.dev/v1alpha1\nkind: {kind}\nmetadata: {metadata}\nspec:\n{indented}"
    );
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}

/// The organization `acme` with that spec, in YAML.
pub(crate) fn organization(spec: &str) -> Organization {
    let metadata = format!("{{name: acme, uid: {UID}, generation: 3}}");
    read(
        "Organization",
        &metadata,
        if spec.is_empty() { "{}" } else { spec },
    )
}

/// An organization of another name, created in that year.
pub(crate) fn organization_since(name: &str, year: u16, spec: &str) -> Organization {
    let uid = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_bytes());
    let metadata =
        format!("{{name: {name}, uid: {uid}, creationTimestamp: \"{year}-01-01T00:00:00Z\"}}");
    read(
        "Organization",
        &metadata,
        if spec.is_empty() { "{}" } else { spec },
    )
}

/// `acme` with every default resolved.
pub(crate) fn valid(spec: &str) -> ValidatedOrganization {
    validate(&organization(spec), &settings()).expect("the fixture is valid")
}

/// A server of `acme`.
pub(crate) fn server(name: &str, spec: &str) -> McpServer {
    let metadata =
        format!("{{name: {name}, namespace: org-acme, uid: uid-of-{name}, generation: 2}}");
    read("McpServer", &metadata, spec)
}

/// A remote server of `acme` without anything special.
pub(crate) fn remote(name: &str) -> McpServer {
    server(
        name,
        &format!("remote: {{url: \"https://{name}.example.com/mcp\"}}"),
    )
}

/// A policy of that namespace.
pub(crate) fn prompt(namespace: &str, name: &str, spec: &str) -> PromptPolicy {
    read(
        "PromptPolicy",
        &format!("{{name: {name}, namespace: {namespace}}}"),
        spec,
    )
}

/// A Secret of `acme` that may be used, with the key `value`.
pub(crate) fn secret(name: &str) -> SecretMetadata {
    SecretMetadata {
        namespace: "org-acme".to_owned(),
        name: name.to_owned(),
        secret_type: "Opaque".to_owned(),
        labels: [(
            names::USE_LABEL.to_owned(),
            names::USE_CREDENTIAL.to_owned(),
        )]
        .into(),
        annotations: Default::default(),
        keys: ["value".to_owned()].into(),
        resource_version: "7".to_owned(),
    }
}

/// Settings of a cluster that can run stdio servers.
pub(crate) fn settings() -> Settings {
    Settings {
        gateway_image: Some("registry.example.com/agentapi:0.1.0".to_owned()),
        bridge_jwks: Some(r#"{"keys":[]}"#.to_owned()),
        ..Settings::new(Placement::Cluster)
    }
}
