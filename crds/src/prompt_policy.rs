//! `PromptPolicy`: a part of the system prompt that agents are given.

mod sanitize;

pub use sanitize::{InjectionRule, Sanitize, SanitizeMode};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mcp_server::PolicyMode;

/// A part of the system prompt, whom it is for, and how it joins the others.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "agentapi.dev",
    version = "v1alpha1",
    kind = "PromptPolicy",
    plural = "promptpolicies",
    shortname = "prompt",
    category = "agentapi",
    namespaced,
    status = "PromptPolicyStatus",
    derive = "PartialEq",
    doc = "A part of the system prompt that agents are given: of one organization, or of all where it is in the platform's namespace.",
    printcolumn(
        name = "READY",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "REASON",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "PRIORITY", type_ = "integer", json_path = ".spec.priority"),
    printcolumn(name = "MERGE", type_ = "string", json_path = ".spec.merge"),
    printcolumn(name = "LOCKED", type_ = "boolean", json_path = ".spec.locked"),
    printcolumn(name = "MODE", type_ = "string", json_path = ".spec.mode"),
    printcolumn(
        name = "AGE",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "MESSAGE",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct PromptPolicySpec {
    /// Order within a level; higher comes first.
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: i32,
    /// Whom the policy is for. Empty means everybody.
    #[serde(default, rename = "match", skip_serializing_if = "Match::is_empty")]
    pub selector: Match,
    /// Text as a minijinja template over organization, user, roles, workspace, agent, model and vars.
    #[schemars(length(min = 1, max = 65536))]
    pub template: String,
    /// Values that the template finds under vars.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub variables: Vec<Variable>,
    /// How the text joins what is above it.
    #[serde(default)]
    pub merge: Merge,
    /// Whether lower levels are kept from replacing the text.
    #[serde(default)]
    pub locked: bool,
    /// How what is put into the template is checked for injection.
    #[serde(default)]
    pub sanitize: Sanitize,
    /// Whether the policy takes effect, or reports only what it would do.
    #[serde(default)]
    pub mode: PolicyMode,
}

/// Whom a policy is for: every list that is not empty must have a glob that matches.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// Globs of agent names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub agents: Vec<String>,
    /// Globs of model names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub models: Vec<String>,
    /// Globs of the caller's roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub roles: Vec<String>,
    /// Globs of user identifiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub users: Vec<String>,
}

impl Match {
    /// Whether the policy is for everybody.
    pub fn is_empty(&self) -> bool {
        self.agents.is_empty()
            && self.models.is_empty()
            && self.roles.is_empty()
            && self.users.is_empty()
    }
}

/// A value that the template finds under vars.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    /// Name under vars.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$")
    )]
    pub name: String,
    /// The value.
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// How a text joins what is above it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// After what is there.
    #[default]
    Append,
    /// Before what is there.
    Prepend,
    /// In place of what is there, unless that is locked.
    Replace,
}

/// What the operator found.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PromptPolicyStatus {
    /// metadata.generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready first; then Reconciling, Stalled and others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::conditions::conditions_schema")]
    pub conditions: Vec<Condition>,
}
