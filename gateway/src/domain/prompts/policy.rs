//! One policy, compiled: whom it is for, its text, and how that is checked.

use std::ops::Range;

use agentapi_crds::prompt_policy::InjectionRule;
use agentapi_crds::tenant_config::{PromptConfig, PromptMatch, SanitizeMode};
use globset::{GlobBuilder, GlobMatcher};
use minijinja::{Environment, UndefinedBehavior, Value, context};
use regex::Regex;

use super::rules::{self, Detector};
use super::text::Text;
use super::{ComposeError, Finding, PromptsError, Variables};

/// Work that one rendering may do, in minijinja's unit: an instruction, or 64
/// bytes written or built. Bounds time (some milliseconds) and memory (some MiB).
const FUEL: u64 = 100_000;
/// Depth of nested statements and expressions.
const RECURSION: usize = 50;
/// Longest quotation of a finding, in characters.
const QUOTATION: usize = 80;
/// Name of a finding by one of the policy's own expressions.
const PATTERN: &str = "Pattern";
/// Name of a finding that the text is too long.
const MAX_LENGTH: &str = "MaxLength";

/// A compiled policy.
pub(super) struct Policy {
    pub(super) config: PromptConfig,
    selector: Selector,
    template: Environment<'static>,
    /// Whether invisible characters are a finding; they are removed in any case.
    reports_hidden: bool,
    detectors: Vec<&'static Detector>,
    patterns: Vec<Regex>,
}

impl Policy {
    pub(super) fn compile(config: &PromptConfig) -> Result<Self, PromptsError> {
        let rules = &config.sanitize.rules;
        let patterns = config.sanitize.patterns.iter().map(|source| {
            rules::expression(source).map_err(|source| PromptsError::Pattern {
                policy: config.name.clone(),
                source: Box::new(source),
            })
        });
        let all = rules::detectors()?.iter();
        Ok(Self {
            selector: Selector::compile(config)?,
            template: template(config)?,
            detectors: all
                .filter(|detector| rules.contains(&detector.rule))
                .collect(),
            reports_hidden: rules.contains(&InjectionRule::HiddenCharacters),
            patterns: patterns.collect::<Result<_, _>>()?,
            config: config.clone(),
        })
    }

    /// Whether the policy is for this request.
    pub(super) fn applies_to(&self, variables: &Variables) -> bool {
        self.selector.matches(variables)
    }

    /// The policy's text for this request; refused if something was found in
    /// it and the policy blocks.
    pub(super) fn admit(&self, variables: &Variables) -> Result<Checked, ComposeError> {
        let checked = self.render(variables)?;
        if self.config.sanitize.mode == SanitizeMode::Block && !checked.findings.is_empty() {
            return Err(ComposeError::Blocked {
                policy: self.config.name.clone(),
                findings: checked.findings,
            });
        }
        Ok(checked)
    }

    fn render(&self, variables: &Variables) -> Result<Checked, ComposeError> {
        let text = self.fill(variables)?;
        let found = self.check(&text);
        let mut checked = match self.config.sanitize.mode {
            SanitizeMode::Block | SanitizeMode::Report => text.as_str().to_owned(),
            SanitizeMode::Redact => text.without(found.ranges),
        };
        let mut findings = found.findings;
        let limit = self.config.sanitize.max_length as usize;
        if let Some((end, _)) = checked.char_indices().nth(limit) {
            findings.push(Finding {
                rule: MAX_LENGTH.to_owned(),
                quotation: String::new(),
            });
            if self.config.sanitize.mode == SanitizeMode::Redact {
                checked.truncate(end);
            }
        }
        Ok(Checked {
            text: checked.trim().to_owned(),
            findings,
        })
    }

    fn fill(&self, variables: &Variables) -> Result<Text, ComposeError> {
        let failed = |source| ComposeError::Render {
            policy: self.config.name.clone(),
            source: Box::new(source),
        };
        let template = self
            .template
            .get_template(&self.config.name)
            .map_err(failed)?;
        let (raw, spans) = template
            .render_with_spans(self.values(variables))
            .map_err(failed)?;
        Ok(Text::rendered(&raw, &spans))
    }

    fn values(&self, variables: &Variables) -> Value {
        context! {
            organization => &variables.organization,
            user => &variables.user,
            roles => &variables.roles,
            workspace => &variables.workspace,
            agent => variables.agent.as_deref().unwrap_or_default(),
            model => variables.model.as_deref().unwrap_or_default(),
            vars => &self.config.variables,
        }
    }

    fn check(&self, text: &Text) -> Found {
        let mut found = Found::default();
        if text.had_hidden && self.reports_hidden {
            found.findings.push(Finding {
                rule: InjectionRule::HiddenCharacters.name().to_owned(),
                quotation: String::new(),
            });
        }
        for detector in &self.detectors {
            found.add(text, detector.rule.name(), detector.find(text.as_str()));
        }
        for pattern in &self.patterns {
            let ranges = pattern
                .find_iter(text.as_str())
                .map(|matched| matched.range());
            found.add(text, PATTERN, ranges);
        }
        found
    }
}

/// A policy's text and what was found in it.
pub(super) struct Checked {
    pub(super) text: String,
    pub(super) findings: Vec<Finding>,
}

#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    ranges: Vec<Range<usize>>,
}

impl Found {
    /// Takes the ranges that touch what was put in; one finding for each rule.
    fn add(&mut self, text: &Text, rule: &str, ranges: impl Iterator<Item = Range<usize>>) {
        let mut touching = ranges
            .filter(|range| !range.is_empty() && text.touches_inserted(range))
            .peekable();
        if let Some(first) = touching.peek() {
            let matched = text.as_str().get(first.clone()).unwrap_or_default();
            self.findings.push(Finding {
                rule: rule.to_owned(),
                quotation: matched.chars().take(QUOTATION).collect(),
            });
        }
        self.ranges.extend(touching);
    }
}

fn template(config: &PromptConfig) -> Result<Environment<'static>, PromptsError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION);
    // Debug output would quote the values in error messages.
    environment.set_debug(false);
    environment
        .add_template_owned(config.name.clone(), config.template.clone())
        .map_err(|source| PromptsError::Template {
            policy: config.name.clone(),
            source: Box::new(source),
        })?;
    Ok(environment)
}

/// Compiled [`PromptMatch`].
struct Selector {
    agents: Vec<GlobMatcher>,
    models: Vec<GlobMatcher>,
    roles: Vec<GlobMatcher>,
    users: Vec<GlobMatcher>,
}

impl Selector {
    fn compile(config: &PromptConfig) -> Result<Self, PromptsError> {
        let PromptMatch {
            agents,
            models,
            roles,
            users,
        } = &config.r#match;
        let globs = |sources: &[String]| -> Result<Vec<GlobMatcher>, PromptsError> {
            sources
                .iter()
                .map(|source| glob(&config.name, source))
                .collect()
        };
        Ok(Self {
            agents: globs(agents)?,
            models: globs(models)?,
            roles: globs(roles)?,
            users: globs(users)?,
        })
    }

    /// Every list that is not empty must have a glob that matches; an agent or
    /// model that the request does not name matches none.
    fn matches(&self, variables: &Variables) -> bool {
        any_matches(&self.agents, variables.agent.as_deref())
            && any_matches(&self.models, variables.model.as_deref())
            && any_matches(&self.roles, variables.roles.iter().map(String::as_str))
            && any_matches(&self.users, [variables.user.as_str()])
    }
}

fn any_matches<'a>(globs: &[GlobMatcher], values: impl IntoIterator<Item = &'a str>) -> bool {
    globs.is_empty()
        || values
            .into_iter()
            .any(|value| globs.iter().any(|glob| glob.is_match(value)))
}

fn glob(policy: &str, source: &str) -> Result<GlobMatcher, PromptsError> {
    GlobBuilder::new(source)
        .literal_separator(false)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|source| PromptsError::Glob {
            policy: policy.to_owned(),
            source: Box::new(source),
        })
}
