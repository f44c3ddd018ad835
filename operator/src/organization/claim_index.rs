//! Which organizations claim the same thing, found without comparing all of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use agentapi_crds::Organization;
use agentapi_crds::tenant_config::TenantConfig;

use super::claims::token_claims;
use super::names::{namespace_of, tenant_id_of};

/// Something that only one organization can have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Claim {
    Namespace(String),
    TenantId(String),
    /// Issuer, audience, organization value.
    Tokens(String, String, String),
}

/// Claims of all organizations; clones share them.
#[derive(Clone, Default)]
pub struct ClaimIndex(Arc<RwLock<Claims>>);

#[derive(Default)]
struct Claims {
    holders: HashMap<Claim, BTreeSet<String>>,
    of: HashMap<String, Held>,
}

/// What one organization claims.
#[derive(Default)]
struct Held {
    by_spec: BTreeSet<Claim>,
    /// By the document that it is served from, which may say more than an invalid spec.
    by_document: BTreeSet<Claim>,
}

impl Held {
    fn all(&self) -> BTreeSet<Claim> {
        self.by_spec.union(&self.by_document).cloned().collect()
    }
}

impl ClaimIndex {
    /// Notes what an organization claims now, or that it is gone. Returns those
    /// with whom it shares or shared a claim.
    pub(crate) fn note(&self, name: &str, organization: Option<&Organization>) -> BTreeSet<String> {
        let mut claims = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut rivals = claims.rivals(name);
        match organization {
            Some(organization) => claims.change(name, |held| held.by_spec = claimed(organization)),
            None => claims.change(name, |held| *held = Held::default()),
        }
        rivals.extend(claims.rivals(name));
        rivals
    }

    /// Notes whose tokens an organization's document accepts.
    pub(crate) fn serve(&self, name: &str, document: &TenantConfig) {
        let served = accepted(document);
        let mut claims = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_known = claims
            .of
            .get(name)
            .is_some_and(|held| held.by_document != served);
        if is_known {
            claims.change(name, |held| held.by_document = served);
        }
    }

    /// Names of the organizations that share a claim with that one.
    pub(crate) fn rivals(&self, name: &str) -> BTreeSet<String> {
        let claims = self.0.read().unwrap_or_else(PoisonError::into_inner);
        claims.rivals(name)
    }

    /// Names of the organizations that ask for a namespace.
    pub(crate) fn of_namespace(&self, namespace: &str) -> BTreeSet<String> {
        let claims = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let holders = claims.holders.get(&Claim::Namespace(namespace.to_owned()));
        holders.cloned().unwrap_or_default()
    }
}

impl Claims {
    fn rivals(&self, name: &str) -> BTreeSet<String> {
        let held = self.of.get(name).map(Held::all).unwrap_or_default();
        let holders = held.iter().filter_map(|claim| self.holders.get(claim));
        holders
            .flatten()
            .filter(|holder| *holder != name)
            .cloned()
            .collect()
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Held)) {
        let mut held = self.of.remove(name).unwrap_or_default();
        let before = held.all();
        change(&mut held);
        let after = held.all();
        for claim in before.difference(&after) {
            if let Some(holders) = self.holders.get_mut(claim) {
                holders.remove(name);
                if holders.is_empty() {
                    self.holders.remove(claim);
                }
            }
        }
        for claim in after.difference(&before) {
            let holders = self.holders.entry(claim.clone()).or_default();
            holders.insert(name.to_owned());
        }
        if !after.is_empty() {
            self.of.insert(name.to_owned(), held);
        }
    }
}

fn claimed(organization: &Organization) -> BTreeSet<Claim> {
    let tokens = token_claims(organization).into_iter();
    tokens
        .map(|(issuer, audience, value)| tokens_of(issuer, audience, value))
        .chain([
            Claim::Namespace(namespace_of(organization)),
            Claim::TenantId(tenant_id_of(organization)),
        ])
        .collect()
}

fn accepted(document: &TenantConfig) -> BTreeSet<Claim> {
    let issuers = document.identity.issuers.iter();
    issuers
        .flat_map(|issuer| {
            let audiences = issuer.audiences.iter();
            audiences
                .map(|audience| tokens_of(&issuer.issuer, audience, &issuer.organization_value))
        })
        .collect()
}

fn tokens_of(issuer: &str, audience: &str, value: &str) -> Claim {
    Claim::Tokens(issuer.to_owned(), audience.to_owned(), value.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ClaimIndex;
    use crate::fixtures::{organization_since, settings};
    use crate::organization::{Members, compose, validate};

    const ISSUER: &str =
        "{issuer: 'https://id.example.com', audiences: [a, b], organizationValue: x}";

    fn with_issuer() -> String {
        format!("identity: {{issuers: [{ISSUER}]}}")
    }

    fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(str::to_owned).into()
    }

    #[test]
    fn organizations_that_claim_nothing_in_common_are_no_rivals() {
        let index = ClaimIndex::default();
        for name in ["first", "second"] {
            index.note(name, Some(&organization_since(name, 2026, "{}")));
        }
        assert_eq!(index.rivals("first"), names([]));
    }

    #[test]
    fn organizations_of_the_same_tokens_are_rivals() {
        let index = ClaimIndex::default();
        for name in ["first", "second"] {
            index.note(name, Some(&organization_since(name, 2026, &with_issuer())));
        }
        assert_eq!(index.rivals("first"), names(["second"]));
    }

    #[test]
    fn whom_an_organization_was_in_the_way_of_is_told_when_it_goes() {
        let index = ClaimIndex::default();
        for name in ["first", "second"] {
            index.note(name, Some(&organization_since(name, 2026, &with_issuer())));
        }
        assert_eq!(index.note("first", None), names(["second"]));
        assert_eq!(index.rivals("second"), names([]));
    }

    #[test]
    fn a_namespace_is_found_by_who_asks_for_it() {
        let index = ClaimIndex::default();
        let first = organization_since("first", 2026, "namespace: shared");
        index.note("first", Some(&first));
        assert_eq!(index.of_namespace("shared"), names(["first"]));
        assert_eq!(index.of_namespace("org-first"), names([]));
    }

    #[test]
    fn a_document_that_accepts_more_than_the_spec_says_is_counted() {
        let index = ClaimIndex::default();
        let first = organization_since("first", 2026, &with_issuer());
        let valid = validate(&first, &settings()).expect("the fixture is valid");
        let document = compose(&valid, &Members::default(), None).expect("it fits");
        index.note("first", Some(&organization_since("first", 2026, "{}")));
        index.serve("first", &document);
        let second = organization_since("second", 2026, &with_issuer());
        assert_eq!(index.note("second", Some(&second)), names(["first"]));
    }
}
