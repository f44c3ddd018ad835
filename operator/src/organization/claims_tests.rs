use agentapi_crds::Organization;
use agentapi_crds::conditions::reasons;

use super::conflicts;
use crate::fixtures::organization_since;

fn with_issuer(name: &str, year: u16, issuer: &str) -> Organization {
    organization_since(name, year, &format!("identity: {{issuers: [{issuer}]}}"))
}

/// Reason and field of each conflict of `organization`.
fn found(organization: &Organization, all: &[&Organization]) -> Vec<(&'static str, String)> {
    let problems = conflicts(organization, all);
    problems
        .into_iter()
        .map(|problem| (problem.reason, problem.field))
        .collect()
}

const SHARED: &str = "{issuer: 'https://id.example.com', audiences: [a, b], organizationValue: x}";

#[test]
fn the_later_of_two_with_the_same_tokens_is_in_conflict() {
    let first = with_issuer("first", 2025, SHARED);
    let second = with_issuer("second", 2026, SHARED);
    let expected = [(
        reasons::ISSUER_CONFLICT,
        "spec.identity.issuers[0]".to_owned(),
    )];
    assert_eq!(found(&second, &[&first, &second]), expected);
}

#[test]
fn the_earlier_of_two_with_the_same_tokens_is_not() {
    let first = with_issuer("first", 2025, SHARED);
    let second = with_issuer("second", 2026, SHARED);
    assert_eq!(found(&first, &[&first, &second]), []);
}

#[test]
fn one_shared_audience_is_a_conflict() {
    let first = with_issuer("first", 2025, SHARED);
    let other = "{issuer: 'https://id.example.com', audiences: [b, c], organizationValue: x}";
    assert_eq!(
        found(&with_issuer("second", 2026, other), &[&first]).len(),
        1
    );
}

#[test]
fn one_issuer_with_different_organization_values_is_shared_freely() {
    let one = "{issuer: 'https://id.example.com', audiences: [a]}";
    let first = with_issuer("first", 2025, one);
    assert_eq!(found(&with_issuer("second", 2026, one), &[&first]), []);
}

#[test]
fn the_later_of_two_with_one_namespace_is_in_conflict() {
    let first = organization_since("first", 2025, "namespace: shared");
    let second = organization_since("second", 2026, "namespace: shared");
    let expected = [(reasons::NAME_CONFLICT, "spec.namespace".to_owned())];
    assert_eq!(found(&second, &[&first]), expected);
}

#[test]
fn the_later_of_two_with_one_tenant_id_is_in_conflict() {
    let spec = "tenantId: 5b0c7c5e-9f0a-4d4e-8a55-000000000001";
    let first = organization_since("first", 2025, spec);
    let second = organization_since("second", 2026, spec);
    let expected = [(reasons::NAME_CONFLICT, "spec.tenantId".to_owned())];
    assert_eq!(found(&second, &[&first]), expected);
}
