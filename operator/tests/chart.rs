//! The rights that the chart gives the operator are those that its plans need.

use std::collections::BTreeSet;
use std::fs;

use agentapi_operator::Kind;
use anyhow::{Context, Result};
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
fn rules(kind: &str) -> Result<Vec<Rule>> {
    let text = fs::read_to_string(CHART).context(CHART)?;
    let plain: String = text
        .lines()
        .filter(|line| !line.contains("{{"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut found = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&plain) {
        let document = Document::deserialize(document).context(CHART)?;
        if document.kind == kind {
            found.extend(document.rules);
        }
    }
    Ok(found)
}

/// Group and resource of everything that rules let the operator delete.
fn deletable(kind: &str) -> Result<BTreeSet<(String, String)>> {
    let rules = rules(kind)?.into_iter();
    Ok(rules
        .filter(|rule| rule.verbs.iter().any(|verb| verb == "delete"))
        .flat_map(|rule| {
            let group = rule.api_groups.join(",");
            let resources = rule.resources.into_iter();
            resources.map(move |resource| (group.clone(), resource))
        })
        .collect())
}

fn planned(kinds: impl Iterator<Item = Kind>) -> BTreeSet<(String, String)> {
    kinds
        .map(|kind| (kind.group().to_owned(), kind.plural().to_owned()))
        .collect()
}

#[test]
fn the_operator_may_write_every_kind_that_is_planned_and_no_other() -> Result<()> {
    let kinds = Kind::ALL
        .into_iter()
        .filter(|kind| *kind != Kind::ConfigMap);
    assert_eq!(deletable("ClusterRole")?, planned(kinds));
    Ok(())
}

#[test]
fn config_maps_are_written_in_the_namespace_of_the_documents_only() -> Result<()> {
    assert_eq!(deletable("Role")?, planned([Kind::ConfigMap].into_iter()));
    Ok(())
}

#[test]
fn the_operator_binds_exactly_the_tenant_roles() -> Result<()> {
    let binds: Vec<_> = rules("ClusterRole")?
        .into_iter()
        .filter(|rule| rule.verbs.iter().any(|verb| verb == "bind"))
        .map(|rule| rule.resource_names)
        .collect();
    assert_eq!(binds, [["agentapi-tenant-admin", "agentapi-tenant-viewer"]]);
    Ok(())
}

#[test]
fn no_rule_escalates_impersonates_or_takes_everything() -> Result<()> {
    let forbidden = ["escalate", "impersonate", "*"];
    for kind in ["ClusterRole", "Role"] {
        for rule in rules(kind)? {
            let named = rule
                .verbs
                .iter()
                .chain(&rule.resources)
                .chain(&rule.api_groups);
            let found: Vec<_> = named
                .filter(|word| forbidden.contains(&word.as_str()))
                .collect();
            assert!(
                found.is_empty(),
                "{kind} has {found:?} on {:?}",
                rule.resources
            );
        }
    }
    Ok(())
}

#[test]
fn the_operator_is_given_nothing_of_the_bridges_private_key() -> Result<()> {
    let path = CHART.replace("operator-rbac", "operator-deployment");
    let text = fs::read_to_string(&path).context(path)?;
    assert!(text.contains("AGENTAPI_BRIDGE_JWKS"), "no public half");
    for private in ["secretKeyRef", "secretRef", "SIGNING_KEY", "secretName"] {
        assert!(!text.contains(private), "{private} in its Deployment");
    }
    Ok(())
}

#[test]
fn every_rule_says_why_it_is_there() -> Result<()> {
    let text = fs::read_to_string(CHART).context(CHART)?;
    let lines: Vec<_> = text.lines().map(str::trim_start).collect();
    let rules = lines.iter().enumerate();
    let bare: Vec<_> = rules
        .filter(|(_, line)| line.starts_with("- apiGroups:"))
        .filter(|(index, _)| !lines[index - 1].starts_with('#'))
        .map(|(index, _)| index + 1)
        .collect();
    assert!(
        bare.is_empty(),
        "rules without a reason: lines {bare:?} of {CHART}"
    );
    Ok(())
}
