use agentapi_crds::tenant_config::{AuditDurability, EgressDestination, IssuerKeys};

use super::validate;
use crate::fixtures::{UID, organization, organization_since, settings, valid};
use crate::organization::egress::{METADATA_ADDRESSES, metadata_addresses};
use crate::organization::{namespace_of, uid_of};

/// Fields of the problems of `acme` with that spec.
fn refused(spec: &str) -> Vec<String> {
    let problems =
        validate(&organization(spec), &settings()).expect_err("the organization is invalid");
    problems.into_iter().map(|problem| problem.field).collect()
}

#[test]
fn all_metadata_addresses_are_addresses() {
    assert_eq!(metadata_addresses().count(), METADATA_ADDRESSES.len());
}

#[test]
fn an_empty_spec_gets_every_default() {
    let found = valid("");
    let defaults = (
        found.namespace.as_str(),
        found.display_name.as_str(),
        found.tenant_id.to_string(),
        found.sessions.idle_timeout_seconds,
        found.audit.retention_days,
    );
    assert_eq!(defaults, ("org-acme", "acme", UID.to_owned(), 1800, 365));
}

#[test]
fn outside_of_a_cluster_the_uid_follows_from_the_name() {
    let mut first = organization("");
    first.metadata.uid = None;
    let expected = uuid::Uuid::new_v5(
        &uuid::Uuid::NAMESPACE_URL,
        b"agentapi.dev/organization/acme",
    );
    assert_eq!(uid_of(&first), expected.to_string());
}

#[test]
fn a_stated_tenant_id_outlives_the_resource() {
    let stated = "5b0c7c5e-9f0a-4d4e-8a55-000000000001";
    assert_eq!(
        valid(&format!("tenantId: {stated}")).tenant_id.to_string(),
        stated
    );
}

#[test]
fn namespaces_of_the_platform_and_the_cluster_are_refused() {
    for namespace in [
        "agentapi-system",
        "agentapi-tenants",
        "agentapi-credentials",
        "kube-system",
        "default",
    ] {
        assert_eq!(
            refused(&format!("namespace: {namespace}")),
            ["spec.namespace"],
            "{namespace}"
        );
    }
}

#[test]
fn a_range_is_egress() {
    let found = valid("network: {egress: [{cidr: 203.0.113.0/24, ports: [443]}]}");
    assert!(matches!(
        found.egress[0].destination,
        EgressDestination::Cidr(_)
    ));
}

#[test]
fn a_single_metadata_address_is_refused() {
    for cidr in ["169.254.169.254/32", "fd00:ec2::254/128"] {
        let spec = format!("network: {{egress: [{{cidr: '{cidr}'}}]}}");
        assert_eq!(refused(&spec), ["spec.network.egress[0]"], "{cidr}");
    }
}

#[test]
fn a_range_with_bits_beyond_its_prefix_is_refused() {
    assert_eq!(
        refused("network: {egress: [{cidr: 203.0.113.7/24}]}"),
        ["spec.network.egress[0]"]
    );
}

#[test]
fn an_idle_timeout_beyond_the_lifetime_is_refused() {
    assert_eq!(
        refused("sessions: {idleTimeout: 2h, maxLifetime: 1h}"),
        ["spec.sessions.idleTimeout"]
    );
}

#[test]
fn an_issuer_without_keys_is_discovered() {
    let found = valid("identity: {issuers: [{issuer: 'https://id.example.com', audiences: [a]}]}");
    assert_eq!(found.identity.issuers[0].keys, IssuerKeys::Discovery);
}

#[test]
fn the_organization_claim_must_have_the_organizations_name_unless_said() {
    let found = valid("identity: {issuers: [{issuer: 'https://id.example.com', audiences: [a]}]}");
    assert_eq!(found.identity.issuers[0].organization_value, "acme");
}

fn with_jwks(jwks: &str) -> String {
    format!(
        "identity: {{issuers: [{{issuer: 'https://id.example.com', audiences: [a], jwks: '{jwks}'}}]}}"
    )
}

#[test]
fn inline_keys_are_taken_over() {
    let jwks = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}"#;
    let found = valid(&with_jwks(jwks));
    assert_eq!(
        found.identity.issuers[0].keys,
        IssuerKeys::Inline(jwks.to_owned())
    );
}

#[test]
fn inline_keys_that_are_not_a_key_set_are_refused() {
    for jwks in ["nonsense", "{}", r#"{"keys":[]}"#] {
        assert_eq!(
            refused(&with_jwks(jwks)),
            ["spec.identity.issuers[0].jwks"],
            "{jwks}"
        );
    }
}

#[test]
fn private_keys_are_refused() {
    for key in [r#"{"kty":"OKP","d":"AA"}"#, r#"{"kty":"oct","k":"AA"}"#] {
        let spec = with_jwks(&format!(r#"{{"keys":[{key}]}}"#));
        assert_eq!(refused(&spec), ["spec.identity.issuers[0].jwks"], "{key}");
    }
}

#[test]
fn fields_without_effect_are_named_and_the_organization_is_served() {
    assert_eq!(valid("models: {}").unsupported, ["spec.models"]);
}

#[test]
fn what_may_be_under_way_is_what_the_organization_chose() {
    let concurrency = valid("concurrency: {requests: 5}").concurrency;
    assert_eq!((concurrency.requests, concurrency.streams), (5, 1000));
}

#[test]
fn how_the_record_is_kept_is_what_the_organization_chose() {
    let audit = valid("audit: {durability: buffered, retention: 90d}").audit;
    assert_eq!(
        (audit.durability, audit.retention_days),
        (AuditDurability::Buffered, 90)
    );
}

#[test]
fn two_names_never_share_a_namespace_by_default() {
    let namespaces = ["a", "b"].map(|name| namespace_of(&organization_since(name, 2026, "")));
    assert_ne!(namespaces[0], namespaces[1]);
}
