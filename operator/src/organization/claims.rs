//! What only one organization can have: a namespace, a tenant id, and the
//! tokens of an issuer for an audience with an organization value.

use std::collections::BTreeSet;

use agentapi_crds::Organization;
use agentapi_crds::conditions::reasons;
use agentapi_crds::tenant_config::IssuerConfig;

use super::names::{namespace_of, organization_value, tenant_id_of};
use crate::problem::Problem;
use crate::rank::is_earlier;

/// Tokens that speak for an organization: issuer, audience, organization value.
pub(crate) type TokenClaim<'a> = (&'a str, &'a str, &'a str);

/// What an organization claims that an earlier one already has. The earlier
/// one by creation time, then name, keeps it.
pub fn conflicts(organization: &Organization, all: &[&Organization]) -> Vec<Problem> {
    all.iter()
        .filter(|other| is_earlier(**other, organization))
        .flat_map(|earlier| conflicts_with(organization, earlier))
        .collect()
}

fn conflicts_with(organization: &Organization, earlier: &Organization) -> Vec<Problem> {
    let holder = earlier.metadata.name.as_deref().unwrap_or_default();
    let mut problems = Vec::new();
    if namespace_of(organization) == namespace_of(earlier) {
        problems.push(Problem::new(
            reasons::NAME_CONFLICT,
            "spec.namespace",
            format!(
                "{} is the namespace of the organization {holder}: recreate this one with another",
                namespace_of(organization)
            ),
        ));
    }
    if tenant_id_of(organization) == tenant_id_of(earlier) {
        problems.push(Problem::new(
            reasons::NAME_CONFLICT,
            "spec.tenantId",
            format!(
                "is the tenant id of the organization {holder}: recreate this one with another"
            ),
        ));
    }
    let taken = token_claims(earlier);
    for (index, issuer) in organization.spec.identity.issuers.iter().enumerate() {
        let value = organization_value(organization, issuer);
        let shared = issuer
            .audiences
            .iter()
            .find(|audience| taken.contains(&(issuer.issuer.as_str(), audience.as_str(), value)));
        if let Some(audience) = shared {
            problems.push(Problem::new(
                reasons::ISSUER_CONFLICT,
                format!("spec.identity.issuers[{index}]"),
                format!(
                    "tokens of {} for {audience} with organization value {value} already belong to the organization {holder}: use another audience or organizationValue",
                    issuer.issuer
                ),
            ));
        }
    }
    problems
}

/// All token claims of an organization's spec.
pub(crate) fn token_claims(organization: &Organization) -> BTreeSet<TokenClaim<'_>> {
    let issuers = organization.spec.identity.issuers.iter();
    issuers
        .flat_map(|issuer| {
            let value = organization_value(organization, issuer);
            let audiences = issuer.audiences.iter();
            audiences.map(move |audience| (issuer.issuer.as_str(), audience.as_str(), value))
        })
        .collect()
}

/// The issuers that no earlier organization claims. What a document that is
/// already served claims beside its spec must go at once: two organizations
/// must never accept the same token.
pub(crate) fn without_taken(
    issuers: Vec<IssuerConfig>,
    organization: &Organization,
    all: &[&Organization],
) -> Vec<IssuerConfig> {
    let taken: BTreeSet<TokenClaim<'_>> = all
        .iter()
        .filter(|other| is_earlier(**other, organization))
        .flat_map(|earlier| token_claims(earlier))
        .collect();
    issuers
        .into_iter()
        .filter(|issuer| {
            let value = issuer.organization_value.as_str();
            !issuer
                .audiences
                .iter()
                .any(|audience| taken.contains(&(issuer.issuer.as_str(), audience.as_str(), value)))
        })
        .collect()
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
