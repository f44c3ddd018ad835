//! Checks a `PromptPolicy` beyond what its schema can say, and resolves it.

use std::collections::{BTreeMap, BTreeSet};

use agentapi_crds::prompt_policy::Match;
use agentapi_crds::tenant_config as document;
use agentapi_crds::{PromptPolicy, PromptPolicySpec};
use globset::Glob;
use minijinja::Environment;
use regex::Regex;

use crate::problem::{Member, Problem};
use crate::settings::Settings;

/// Names that a template may use. `vars` holds the policy's own variables.
const TEMPLATE_VARIABLES: [&str; 7] = [
    "organization",
    "user",
    "roles",
    "workspace",
    "agent",
    "model",
    OWN_VARIABLES,
];
/// Where a template finds the policy's own variables.
const OWN_VARIABLES: &str = "vars";

/// The level of a policy: global in the platform's namespace.
pub fn level_of(policy: &PromptPolicy, settings: &Settings) -> document::PromptLevel {
    if policy.metadata.namespace.as_deref() == Some(settings.platform_namespace.as_str()) {
        document::PromptLevel::Global
    } else {
        document::PromptLevel::Organization
    }
}

/// The policy as the gateway serves it, or why it cannot be.
pub fn validate(
    policy: &PromptPolicy,
    level: document::PromptLevel,
) -> Member<document::PromptConfig> {
    let spec = &policy.spec;
    let mut problems = Vec::new();
    check_variables(spec, &mut problems);
    check_template(spec, &mut problems);
    check_globs(&spec.selector, &mut problems);
    check_patterns(spec, &mut problems);
    if problems.is_empty() {
        let name = policy.metadata.name.clone().unwrap_or_default();
        Member::Valid(resolve(spec, name, level))
    } else {
        Member::Invalid(problems)
    }
}

fn check_variables(spec: &PromptPolicySpec, problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for (index, variable) in spec.variables.iter().enumerate() {
        if !seen.insert(&variable.name) {
            problems.push(Problem::invalid(
                format!("spec.variables[{index}].name"),
                format!("`{}` is declared twice: keep one", variable.name),
            ));
        }
    }
}

fn check_template(spec: &PromptPolicySpec, problems: &mut Vec<Problem>) {
    let environment = Environment::new();
    let template = match environment.template_from_str(&spec.template) {
        Ok(template) => template,
        Err(error) => {
            problems.push(Problem::invalid(
                "spec.template",
                format!("does not compile: {error}"),
            ));
            return;
        }
    };
    let declared: BTreeSet<&str> = spec
        .variables
        .iter()
        .map(|variable| variable.name.as_str())
        .collect();
    let mut used: Vec<String> = template.undeclared_variables(true).into_iter().collect();
    used.sort();
    for path in used {
        let mut segments = path.split('.');
        let root = segments.next().unwrap_or_default();
        if root == OWN_VARIABLES {
            if let Some(name) = segments.next().filter(|name| !declared.contains(name)) {
                problems.push(Problem::invalid(
                    "spec.template",
                    format!("uses vars.{name}, which spec.variables does not declare"),
                ));
            }
        } else if !TEMPLATE_VARIABLES.contains(&root) && !is_global(&environment, root) {
            problems.push(Problem::invalid(
                "spec.template",
                format!(
                    "uses `{root}`, which is unknown: there are {}",
                    TEMPLATE_VARIABLES.join(", ")
                ),
            ));
        }
    }
}

/// Whether minijinja itself knows the name, as it does `range` or `namespace`.
fn is_global(environment: &Environment<'_>, name: &str) -> bool {
    environment.globals().any(|(global, _)| global == name)
}

fn check_globs(selector: &Match, problems: &mut Vec<Problem>) {
    let lists = [
        ("agents", &selector.agents),
        ("models", &selector.models),
        ("roles", &selector.roles),
        ("users", &selector.users),
    ];
    for (list, globs) in lists {
        for (index, glob) in globs.iter().enumerate() {
            if let Err(error) = Glob::new(glob) {
                problems.push(Problem::invalid(
                    format!("spec.match.{list}[{index}]"),
                    error.to_string(),
                ));
            }
        }
    }
}

fn check_patterns(spec: &PromptPolicySpec, problems: &mut Vec<Problem>) {
    for (index, pattern) in spec.sanitize.patterns.iter().enumerate() {
        if let Err(error) = Regex::new(pattern) {
            problems.push(Problem::invalid(
                format!("spec.sanitize.patterns[{index}]"),
                format!("is not a regular expression: {error}"),
            ));
        }
    }
}

fn resolve(
    spec: &PromptPolicySpec,
    name: String,
    level: document::PromptLevel,
) -> document::PromptConfig {
    let variables: BTreeMap<_, _> = spec
        .variables
        .iter()
        .map(|variable| (variable.name.clone(), variable.value.clone()))
        .collect();
    document::PromptConfig {
        name,
        level,
        priority: spec.priority,
        r#match: document::PromptMatch {
            agents: spec.selector.agents.clone(),
            models: spec.selector.models.clone(),
            roles: spec.selector.roles.clone(),
            users: spec.selector.users.clone(),
        },
        template: spec.template.clone(),
        variables,
        merge: spec.merge,
        locked: spec.locked,
        sanitize: document::SanitizeConfig {
            mode: spec.sanitize.mode,
            rules: spec.sanitize.rules.clone(),
            patterns: spec.sanitize.patterns.clone(),
            max_length: spec.sanitize.max_length,
        },
        mode: spec.mode,
    }
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
