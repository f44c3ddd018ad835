use serde_json::{Value, json};

use super::*;

fn organization(spec: Value) -> Value {
    json!({
        "apiVersion": "agentapi.dev/v1alpha1",
        "kind": "Organization",
        "metadata": {"name": "acme"},
        "spec": spec,
    })
}

fn server(spec: Value) -> Value {
    json!({
        "apiVersion": "agentapi.dev/v1alpha1",
        "kind": "McpServer",
        "metadata": {"name": "notes", "namespace": "org-acme"},
        "spec": spec,
    })
}

fn remote() -> Value {
    json!({"remote": {"url": "https://tools.example.com/mcp"}})
}

fn refusal(manifest: &Value) -> Vec<String> {
    let errors = Admission::new().unwrap().admit(manifest, None);
    let errors = errors.expect_err("the manifest should be refused");
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_of_the_schema_are_applied() {
    let admitted = Admission::new()
        .unwrap()
        .admit(&organization(json!({})), None)
        .unwrap();
    assert_eq!(admitted["spec"]["sessions"]["idleTimeout"], "30m");
}

#[test]
fn defaults_of_the_schema_equal_those_of_the_rust_types() {
    let admission = Admission::new().unwrap();
    for manifest in [
        organization(json!({})),
        organization(
            json!({"identity": {"issuers": [{"issuer": "https://a.example", "audiences": ["a"]}]}}),
        ),
        server(remote()),
    ] {
        let typed = |manifest: &Value| Resource::from_admitted(manifest.clone()).unwrap();
        let admitted = admission.admit(&manifest, None).unwrap();
        assert_eq!(typed(&admitted), typed(&manifest));
    }
}

#[test]
fn a_partly_stated_object_gets_the_defaults_of_its_other_fields() {
    let manifest = organization(json!({"sessions": {"maxPerUser": 5}}));
    let admitted = Admission::new().unwrap().admit(&manifest, None).unwrap();
    assert_eq!(
        admitted["spec"]["sessions"],
        json!({"maxPerUser": 5, "idleTimeout": "30m", "maxLifetime": "24h"})
    );
}

#[test]
fn a_null_field_means_an_absent_one() {
    let manifest = organization(json!({"sessions": {"idleTimeout": null}, "tenantId": null}));
    let admitted = Admission::new().unwrap().admit(&manifest, None).unwrap();
    assert_eq!(admitted["spec"]["sessions"]["idleTimeout"], "30m");
    assert_eq!(admitted["spec"].get("tenantId"), None);
}

#[test]
fn an_unknown_kind_is_named() {
    let manifest = json!({"apiVersion": "agentapi.dev/v1alpha1", "kind": "Organisation"});
    assert_eq!(
        refusal(&manifest),
        ["kind: unknown kind `Organisation`: known are Organization, McpServer, PromptPolicy"]
    );
}

#[test]
fn a_wrong_version_is_named() {
    let mut manifest = organization(json!({}));
    manifest["apiVersion"] = "agentapi.dev/v1".into();
    assert_eq!(
        refusal(&manifest),
        ["apiVersion: Organization is of agentapi.dev/v1alpha1, not of `agentapi.dev/v1`"]
    );
}

#[test]
fn unknown_fields_are_found_at_every_depth() {
    let mut manifest = organization(json!({
        "displayname": "Acme",
        "network": {"egress": [{"host": "a.example", "port": 443}]},
    }));
    manifest["extra"] = json!(1);
    manifest["metadata"]["lables"] = json!({});
    manifest["status"] = json!({"phase": "Ready"});
    let mut errors = refusal(&manifest);
    errors.sort();
    assert_eq!(
        errors,
        [
            "extra: unknown field",
            "metadata.lables: unknown field",
            "spec.displayname: unknown field",
            "spec.network.egress[0].port: unknown field",
            "status.phase: unknown field",
        ]
    );
}

#[test]
fn status_is_dropped() {
    let mut manifest = organization(json!({}));
    manifest["status"] = json!({"servers": 3});
    let admitted = Admission::new().unwrap().admit(&manifest, None).unwrap();
    assert_eq!(admitted.get("status"), None);
}

#[test]
fn a_manifest_without_spec_is_refused() {
    let manifest = json!({
        "apiVersion": "agentapi.dev/v1alpha1", "kind": "Organization", "metadata": {"name": "a"}
    });
    assert_eq!(refusal(&manifest), ["spec: is required"]);
}

#[test]
fn a_manifest_without_metadata_is_refused() {
    let manifest = json!({
        "apiVersion": "agentapi.dev/v1alpha1", "kind": "PromptPolicy", "spec": {"template": "Hi"}
    });
    assert_eq!(refusal(&manifest), ["metadata.name: is required"]);
}

#[test]
fn the_namespace_of_a_cluster_scoped_kind_is_dropped() {
    let mut manifest = organization(json!({}));
    manifest["metadata"]["namespace"] = "default".into();
    let admitted = Admission::new().unwrap().admit(&manifest, None).unwrap();
    assert_eq!(admitted["metadata"], json!({"name": "acme"}));
}

#[test]
fn types_are_checked() {
    let manifest =
        organization(json!({"suspended": "yes", "admins": {}, "sessions": {"maxPerUser": 1.5}}));
    let mut errors = refusal(&manifest);
    errors.sort();
    assert_eq!(
        errors,
        [
            "spec.admins: must be a list, not an object",
            "spec.sessions.maxPerUser: must be an integer, not a number",
            "spec.suspended: must be true or false, not a string",
        ]
    );
}

#[test]
fn enums_bounds_and_lengths_are_checked() {
    let manifest = organization(json!({
        "audit": {"retention": "1d"},
        "displayName": "x".repeat(129),
        "sessions": {"maxPerUser": 0},
        "identity": {"issuers": [{"issuer": "https://a.example", "audiences": []}]},
    }));
    let mut errors = refusal(&manifest);
    errors.sort();
    assert_eq!(
        errors,
        [
            "spec.audit.retention: must be one of \"30d\", \"90d\", \"365d\", \"2555d\", not \"1d\"",
            "spec.displayName: must be at most 128 characters long",
            "spec.identity.issuers[0].audiences: must have at least 1 items",
            "spec.sessions.maxPerUser: must be at least 1",
        ]
    );
}

#[test]
fn quantities_are_integers_or_strings() {
    let admission = Admission::new().unwrap();
    let quota = |value: Value| organization(json!({"quota": {"count/pods": value}}));
    admission.admit(&quota(json!(20)), None).unwrap();
    admission.admit(&quota(json!("1500m")), None).unwrap();
    assert_eq!(
        refusal(&quota(json!(true))),
        ["spec.quota[count/pods]: must be an integer or a string, not true or false"]
    );
}

#[test]
fn items_with_the_same_key_are_refused() {
    let manifest = server(json!({"stdio": {"image": "a", "command": ["b"], "env": [
        {"name": "A", "value": "1"}, {"name": "A", "value": "2"}
    ]}}));
    assert_eq!(
        refusal(&manifest),
        ["spec.stdio.env[1]: is a duplicate: name \"A\""]
    );
}

#[test]
fn a_broken_rule_is_reported_at_its_field() {
    let manifest = organization(json!({"network": {"egress": [{"ports": [443]}]}}));
    assert_eq!(
        refusal(&manifest),
        ["spec.network.egress[0]: exactly one of cidr and host is required"]
    );
}

#[test]
fn an_update_may_not_move_a_resource_to_another_namespace() {
    let old = server(remote());
    let mut new = old.clone();
    new["metadata"]["namespace"] = "org-other".into();
    let errors = Admission::new()
        .unwrap()
        .admit(&new, Some(&old))
        .unwrap_err();
    assert_eq!(
        errors,
        [FieldError::new("metadata.namespace", "is immutable")]
    );
}

#[test]
fn an_admitted_manifest_is_read_as_its_type() {
    let resource = Admission::new()
        .unwrap()
        .admit_resource(&server(remote()), None)
        .unwrap();
    assert!(
        matches!(&resource, Resource::McpServer(server) if server.spec.replicas == 1),
        "{resource:?}"
    );
}
