//! Every CEL rule of the committed definitions has cases, and every case comes
//! out as it says, without a cluster.

// clippy.toml permits these in test functions, not in the helpers of integration tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use agentapi_crds::admission::{Admission, FieldError};
use agentapi_crds::definition;
use agentapi_crds::rule_cases::{self, RuleCase, Verdict};
use serde_json::Value;

fn cases() -> Vec<RuleCase> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    rule_cases::load(&folder).unwrap()
}

fn committed_definitions() -> Vec<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(definition::DIRECTORY);
    let files = std::fs::read_dir(folder).unwrap();
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        serde_yaml::from_str(&text).unwrap()
    };
    files.map(read).collect()
}

/// Kind, path and message of every rule at or below a node.
fn rules(kind: &str, path: &str, schema: &Value, found: &mut BTreeSet<(String, String, String)>) {
    for rule in schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let message = rule["message"]
            .as_str()
            .expect("every rule has a message")
            .to_owned();
        let unique = found.insert((kind.to_owned(), path.to_owned(), message.clone()));
        assert!(
            unique,
            "{kind} {path}: two rules have the message `{message}`"
        );
    }
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        let separator = if path.is_empty() { "" } else { "." };
        rules(kind, &format!("{path}{separator}{name}"), child, found);
    }
    if schema["items"].is_object() {
        rules(kind, &format!("{path}[]"), &schema["items"], found);
    }
    if schema["additionalProperties"].is_object() {
        rules(
            kind,
            &format!("{path}{{}}"),
            &schema["additionalProperties"],
            found,
        );
    }
}

fn committed_rules() -> BTreeSet<(String, String, String)> {
    let mut found = BTreeSet::new();
    for definition in committed_definitions() {
        let kind = definition["spec"]["names"]["kind"]
            .as_str()
            .unwrap()
            .to_owned();
        rules(&kind, "", definition::schema(&definition), &mut found);
    }
    found
}

fn rules_with(verdict: Verdict) -> BTreeSet<(String, String, String)> {
    let chosen = cases().into_iter().filter(|case| case.verdict == verdict);
    chosen
        .map(|case| (case.kind, case.path, case.rule))
        .collect()
}

/// Every case of a verdict with what admission says of it.
fn outcomes(verdict: Verdict) -> Vec<(RuleCase, Result<Value, Vec<FieldError>>)> {
    let admission = Admission::new().unwrap();
    let outcome = |case: RuleCase| {
        let outcome = admission.admit(&case.object, case.old.as_ref());
        (case, outcome)
    };
    cases()
        .into_iter()
        .filter(|case| case.verdict == verdict)
        .map(outcome)
        .collect()
}

/// Whether an object has something at a rule's path, so that the rule was evaluated.
fn reaches(object: &Value, path: &str) -> bool {
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    if step.is_empty() {
        return true;
    }
    match step.strip_suffix("[]") {
        Some(name) => object[name]
            .as_array()
            .into_iter()
            .flatten()
            .any(|item| reaches(item, rest)),
        None => object.get(step).is_some_and(|field| reaches(field, rest)),
    }
}

#[test]
fn every_rule_has_an_accepting_case() {
    let missing: Vec<_> = committed_rules()
        .difference(&rules_with(Verdict::Accept))
        .cloned()
        .collect();
    assert!(
        missing.is_empty(),
        "add accepting cases to crds/tests/cases for {missing:#?}"
    );
}

#[test]
fn every_rule_has_a_rejecting_case() {
    let missing: Vec<_> = committed_rules()
        .difference(&rules_with(Verdict::Reject))
        .cloned()
        .collect();
    assert!(
        missing.is_empty(),
        "add rejecting cases to crds/tests/cases for {missing:#?}"
    );
}

#[test]
fn every_case_is_for_a_rule_that_exists() {
    let rules = committed_rules();
    let stale: Vec<_> = cases()
        .into_iter()
        .filter(|case| !rules.contains(&(case.kind.clone(), case.path.clone(), case.rule.clone())))
        .map(|case| case.name)
        .collect();
    assert!(
        stale.is_empty(),
        "no definition has the rules of these cases: {stale:#?}"
    );
}

#[test]
fn accepting_cases_are_accepted_by_all_rules() {
    let failures: Vec<_> = outcomes(Verdict::Accept)
        .into_iter()
        .filter_map(|(case, outcome)| outcome.err().map(|errors| (case.name, errors)))
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn every_rule_is_evaluated_in_an_accepting_case() {
    let evaluated: BTreeSet<_> = outcomes(Verdict::Accept)
        .into_iter()
        .filter(|(case, outcome)| {
            outcome
                .as_ref()
                .is_ok_and(|admitted| reaches(admitted, &case.path))
        })
        .filter(|(case, _)| case.old.is_some() || !case.rule.contains("immutable"))
        .map(|(case, _)| (case.kind, case.path, case.rule))
        .collect();
    let missing: Vec<_> = committed_rules().difference(&evaluated).cloned().collect();
    assert!(
        missing.is_empty(),
        "no accepting case has a value at the path of {missing:#?}"
    );
}

#[test]
fn rejecting_cases_are_rejected_by_their_own_rule() {
    let failures: Vec<_> = outcomes(Verdict::Reject)
        .into_iter()
        .filter_map(|(case, outcome)| match outcome {
            Err(errors) if errors.iter().any(|error| error.message == case.rule) => None,
            other => Some((case.name, other)),
        })
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}
