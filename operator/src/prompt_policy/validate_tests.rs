use agentapi_crds::tenant_config::PromptLevel;

use super::{level_of, validate};
use crate::fixtures::{prompt, settings};
use crate::problem::Member;

/// The problems of a policy with that spec, as a person reads them.
fn problems(spec: &str) -> Vec<String> {
    let member = validate(
        &prompt("org-acme", "hello", spec),
        PromptLevel::Organization,
    );
    member.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn a_policy_in_the_platforms_namespace_is_global() {
    let policy = prompt("agentapi-system", "hello", "template: hi");
    assert_eq!(level_of(&policy, &settings()), PromptLevel::Global);
}

#[test]
fn a_policy_elsewhere_belongs_to_an_organization() {
    let policy = prompt("org-acme", "hello", "template: hi");
    assert_eq!(level_of(&policy, &settings()), PromptLevel::Organization);
}

#[test]
fn a_template_may_use_all_documented_variables() {
    let template = "template: '{{ organization }}{{ user }}{{ roles }}{{ workspace }}{{ agent }}{{ model }}{{ vars.a }}'\nvariables: [{name: a, value: b}]";
    assert_eq!(problems(template), Vec::<String>::new());
}

#[test]
fn a_template_may_use_what_it_defines_itself() {
    let template = "template: '{% for role in roles %}{{ role }}{% endfor %}{% for i in range(3) %}{{ i }}{% endfor %}'";
    assert_eq!(problems(template), Vec::<String>::new());
}

#[test]
fn a_template_that_does_not_compile_is_refused() {
    let found = problems("template: '{{ user'");
    assert!(
        found[0].starts_with("spec.template: does not compile"),
        "{found:?}"
    );
}

#[test]
fn an_unknown_variable_is_refused_by_name() {
    let found = problems("template: '{{ usr }}'");
    assert!(
        found[0].contains("uses `usr`, which is unknown"),
        "{found:?}"
    );
}

#[test]
fn an_undeclared_own_variable_is_refused_by_name() {
    let found = problems("template: '{{ vars.team }}'");
    assert_eq!(
        found,
        ["spec.template: uses vars.team, which spec.variables does not declare"]
    );
}

#[test]
fn a_variable_declared_twice_is_refused() {
    let found = problems("template: hi\nvariables: [{name: a, value: '1'}, {name: a, value: '2'}]");
    assert_eq!(
        found,
        ["spec.variables[1].name: `a` is declared twice: keep one"]
    );
}

#[test]
fn a_malformed_glob_is_refused_with_its_place() {
    let found = problems("template: hi\nmatch: {roles: ['ok', '[']}");
    assert!(found[0].starts_with("spec.match.roles[1]:"), "{found:?}");
}

#[test]
fn a_malformed_pattern_is_refused_with_its_place() {
    let found = problems("template: hi\nsanitize: {patterns: ['(']}");
    assert!(
        found[0].starts_with("spec.sanitize.patterns[0]:"),
        "{found:?}"
    );
}

#[test]
fn a_valid_policy_is_resolved_with_its_variables_by_name() {
    let spec = "template: hi\npriority: 5\nvariables: [{name: a, value: b}]";
    let Member::Valid(config) = validate(
        &prompt("org-acme", "hello", spec),
        PromptLevel::Organization,
    ) else {
        panic!("the policy is valid");
    };
    assert_eq!(config.variables.get("a").map(String::as_str), Some("b"));
}
