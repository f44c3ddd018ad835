//! The system prompt that an agent is given: the policies of the platform,
//! then those of the organization, each rendered, checked and joined.
//!
//! [`Prompts::compile`] does what can be done once for a document,
//! [`Prompts::compose`] what depends on the request. Both are pure.

mod merge;
mod policy;
mod rules;
mod text;

use agentapi_crds::tenant_config::{Merge, PolicyMode, PromptConfig, PromptLevel};
use serde::Serialize;

use self::merge::Contribution;
use self::policy::{Checked, Policy};

/// Whom a prompt is composed for. The values come from the caller's token and
/// request: they are what the checks look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// Name of the organization.
    pub organization: String,
    /// The user's id.
    pub user: String,
    /// The user's roles.
    pub roles: Vec<String>,
    /// Workspace of the session.
    pub workspace: String,
    /// Name of the agent; the empty string in a template if absent.
    pub agent: Option<String>,
    /// Name of the model; the empty string in a template if absent.
    pub model: Option<String>,
}

/// The composed prompt, and which part came from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Composition {
    /// What the agent is given.
    pub text: String,
    /// Every policy that matched, in the order in which they were joined.
    pub parts: Vec<Part>,
}

/// What one policy contributed, or would have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Name of the `PromptPolicy`.
    pub policy: String,
    /// Level it comes from.
    #[schema(value_type = String, example = "organization")]
    pub level: PromptLevel,
    /// How its text joins what is above it.
    #[schema(value_type = String, example = "Append")]
    pub merge: Merge,
    /// Order within the level; higher first.
    pub priority: i32,
    /// Whether the policy takes effect or only reports.
    #[schema(value_type = String, example = "Enforce")]
    pub mode: PolicyMode,
    /// The rendered and checked text.
    pub text: String,
    /// What the checks found.
    pub findings: Vec<Finding>,
    /// Whether the text is in the composed prompt.
    pub applied: bool,
    /// The later policy that replaced the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// Why a policy in shadow mode would have refused the composition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// Something a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The built-in rule's name, `Pattern` for one of the policy's own, `MaxLength`.
    pub rule: String,
    /// The first 80 characters of what matched; empty where nothing can be quoted.
    pub quotation: String,
}

/// Why policies cannot be used. The organization's previous document stays in use.
#[derive(Debug, thiserror::Error)]
pub enum PromptsError {
    /// The template is not minijinja.
    #[error("template of prompt policy {policy}: {source}")]
    Template {
        /// Name of the policy.
        policy: String,
        /// What is wrong, with the line.
        source: Box<minijinja::Error>,
    },
    /// A glob under `match` cannot be read.
    #[error("match of prompt policy {policy}: {source}")]
    Glob {
        /// Name of the policy.
        policy: String,
        /// What is wrong.
        source: Box<globset::Error>,
    },
    /// An expression under `sanitize.patterns` cannot be read or is too large.
    #[error("sanitize.patterns of prompt policy {policy}: {source}")]
    Pattern {
        /// Name of the policy.
        policy: String,
        /// What is wrong.
        source: Box<regex::Error>,
    },
    /// A built-in rule is not a valid expression: a defect of this program.
    #[error("the built-in injection rules cannot be compiled")]
    Rules(#[from] regex::Error),
}

/// Why no prompt can be composed for a request.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A check found something, and the policy blocks.
    #[error("prompt policy {policy} refuses what would be put into it: {}", names(.findings))]
    Blocked {
        /// Name of the policy.
        policy: String,
        /// What was found.
        findings: Vec<Finding>,
    },
    /// The template names something that does not exist, or does too much work.
    #[error("prompt policy {policy} cannot be rendered: {source}")]
    Render {
        /// Name of the policy.
        policy: String,
        /// What went wrong; without values.
        source: Box<minijinja::Error>,
    },
}

fn names(findings: &[Finding]) -> String {
    let names: Vec<&str> = findings
        .iter()
        .map(|finding| finding.rule.as_str())
        .collect();
    names.join(", ")
}

/// All policies of an organization, compiled.
#[derive(Default)]
pub struct Prompts {
    policies: Vec<Policy>,
}

impl std::fmt::Debug for Prompts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.policies.iter().map(|policy| &policy.config.name);
        formatter.debug_list().entries(names).finish()
    }
}

impl Prompts {
    /// Compiles policies in any order.
    pub fn compile(configs: &[PromptConfig]) -> Result<Self, PromptsError> {
        let mut policies = configs
            .iter()
            .map(Policy::compile)
            .collect::<Result<Vec<_>, _>>()?;
        policies.sort_by(|a, b| {
            let order = |policy: &Policy| {
                (
                    policy.config.level,
                    std::cmp::Reverse(policy.config.priority),
                )
            };
            order(a)
                .cmp(&order(b))
                .then_with(|| a.config.name.cmp(&b.config.name))
        });
        Ok(Self { policies })
    }

    /// The prompt for one request.
    pub fn compose(&self, variables: &Variables) -> Result<Composition, ComposeError> {
        let matching = self
            .policies
            .iter()
            .filter(|policy| policy.applies_to(variables));
        let contributions = matching.map(|policy| {
            let part = match (policy.admit(variables), policy.config.mode) {
                (Ok(checked), _) => part(&policy.config, checked, None),
                (Err(refusal), PolicyMode::Shadow) => shadowed(&policy.config, &refusal),
                (Err(refusal), PolicyMode::Enforce) => return Err(refusal),
            };
            Ok(Contribution {
                part,
                locked: policy.config.locked,
            })
        });
        Ok(merge::join(contributions.collect::<Result<_, _>>()?))
    }
}

/// The part of a policy in shadow mode that would have refused the composition.
fn shadowed(config: &PromptConfig, refusal: &ComposeError) -> Part {
    let findings = match refusal {
        ComposeError::Blocked { findings, .. } => findings.clone(),
        ComposeError::Render { .. } => Vec::new(),
    };
    part(
        config,
        Checked {
            text: String::new(),
            findings,
        },
        Some(refusal.to_string()),
    )
}

fn part(config: &PromptConfig, checked: Checked, refusal: Option<String>) -> Part {
    Part {
        policy: config.name.clone(),
        level: config.level,
        merge: config.merge,
        priority: config.priority,
        mode: config.mode,
        text: checked.text,
        findings: checked.findings,
        applied: false,
        replaced_by: None,
        refusal,
    }
}

#[cfg(test)]
#[path = "prompts_tests.rs"]
mod tests;
