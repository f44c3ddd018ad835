use agentapi_crds::{Organization, names};
use proptest::option;
use proptest::prelude::*;

use super::{namespace_of, owner_of};
use crate::fixtures::organization_since;
use crate::organization::conflicts;

/// Names that the rule of the custom resource allows.
const NAME: &str = "[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?";

/// An organization with that name, and maybe a namespace that it asks for.
fn asking(name: &str, year: u16, namespace: Option<&str>) -> Organization {
    let mut organization = organization_since(name, year, "");
    organization.spec.namespace = namespace.map(str::to_owned);
    organization
}

/// Everything that is made from an organization's name alone.
fn derived(organization: &Organization) -> [String; 3] {
    let owner = owner_of(organization);
    [
        namespace_of(organization),
        names::tenant_config_map(&owner.organization),
        owner.labels()[names::ORGANIZATION_LABEL].clone(),
    ]
}

fn is_dns_label(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

proptest! {
    #[test]
    fn no_two_names_derive_the_same(one in NAME, other in NAME) {
        prop_assume!(one != other);
        let one = derived(&asking(&one, 2025, None));
        let other = derived(&asking(&other, 2026, None));
        for (one, other) in one.iter().zip(&other) {
            prop_assert_ne!(one, other);
        }
    }

    #[test]
    fn every_derived_name_is_one_that_kubernetes_takes(name in NAME) {
        for name in derived(&asking(&name, 2026, None)) {
            prop_assert!(is_dns_label(&name), "{}", name);
        }
    }

    #[test]
    fn of_two_that_ask_for_one_namespace_exactly_the_later_is_refused(
        one in NAME,
        other in NAME,
        asked in option::of("org-[a-z0-9]{1,3}"),
    ) {
        prop_assume!(one != other);
        let first = asking(&one, 2025, asked.as_deref());
        let second = asking(&other, 2026, asked.as_deref().or(Some(&namespace_of(&first))));
        let all = [&first, &second];
        prop_assert!(conflicts(&first, &all).is_empty());
        prop_assert!(!conflicts(&second, &all).is_empty());
    }
}
