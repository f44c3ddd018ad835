//! The rights that the chart gives the operator are those that its plans need.

use std::collections::BTreeSet;
use std::fs;

use agentapi_operator::Kind;
use serde::Deserialize;

const CHART: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../charts/agentapi/templates/operator-rbac.yaml"
);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    kind: String,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
    verbs: Vec<String>,
}

/// The rules of the chart's roles of that kind. Lines with template directives are labels and names.
fn rules(kind: &str) -> Vec<Rule> {
    let text = fs::read_to_string(CHART).expect("the chart is beside the crate");
    let plain: String = text
        .lines()
        .filter(|line| !line.contains("{{"))
        .map(|line| format!("{line}\n"))
        .collect();
    serde_yaml::Deserializer::from_str(&plain)
        .map(|document| Document::deserialize(document).expect("a manifest of RBAC"))
        .filter(|document| document.kind == kind)
        .flat_map(|document| document.rules)
        .collect()
}

/// Group and resource of everything that rules let the operator delete.
fn deletable(kind: &str) -> BTreeSet<(String, String)> {
    rules(kind)
        .into_iter()
        .filter(|rule| rule.verbs.iter().any(|verb| verb == "delete"))
        .flat_map(|rule| {
            let group = rule.api_groups.join(",");
            rule.resources
                .into_iter()
                .map(move |resource| (group.clone(), resource))
        })
        .collect()
}

fn planned(kinds: impl Iterator<Item = Kind>) -> BTreeSet<(String, String)> {
    kinds
        .map(|kind| (kind.group().to_owned(), kind.plural().to_owned()))
        .collect()
}

#[test]
fn the_operator_may_write_every_kind_that_is_planned_and_no_other() {
    let kinds = Kind::ALL
        .into_iter()
        .filter(|kind| *kind != Kind::ConfigMap);
    assert_eq!(deletable("ClusterRole"), planned(kinds));
}

#[test]
fn config_maps_are_written_in_the_namespace_of_the_documents_only() {
    assert_eq!(deletable("Role"), planned([Kind::ConfigMap].into_iter()));
}

#[test]
fn the_operator_binds_exactly_the_tenant_roles() {
    let binds: Vec<_> = rules("ClusterRole")
        .into_iter()
        .filter(|rule| rule.verbs.iter().any(|verb| verb == "bind"))
        .map(|rule| rule.resource_names)
        .collect();
    assert_eq!(binds, [["agentapi-tenant-admin", "agentapi-tenant-viewer"]]);
}

#[test]
fn no_rule_escalates_impersonates_or_takes_everything() {
    let forbidden = ["escalate", "impersonate", "*"];
    for kind in ["ClusterRole", "Role"] {
        for rule in rules(kind) {
            let mut words = rule
                .verbs
                .iter()
                .chain(&rule.resources)
                .chain(&rule.api_groups);
            assert!(
                !words.any(|word| forbidden.contains(&word.as_str())),
                "{kind} has {:?} on {:?}",
                rule.verbs,
                rule.resources
            );
        }
    }
}
