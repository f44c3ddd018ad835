//! How what is put into a prompt is checked for injection.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest checked text, in characters, unless said otherwise.
const DEFAULT_MAX_LENGTH: u32 = 32_768;

fn default_rules() -> Vec<InjectionRule> {
    InjectionRule::ALL.to_vec()
}

fn default_max_length() -> u32 {
    DEFAULT_MAX_LENGTH
}

/// How what is put into a template is checked for injection.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Sanitize {
    /// What happens when something is found.
    #[serde(default)]
    pub mode: SanitizeMode,
    /// Built-in rules that are on. Default: all ten.
    #[serde(default = "default_rules")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub rules: Vec<InjectionRule>,
    /// Further regular expressions that count as findings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 512)))]
    pub patterns: Vec<String>,
    /// Longest text, in characters; a longer one counts as a finding.
    #[serde(default = "default_max_length")]
    #[schemars(range(min = 1, max = 1048576))]
    pub max_length: u32,
}

impl Default for Sanitize {
    fn default() -> Self {
        Self {
            mode: SanitizeMode::default(),
            rules: default_rules(),
            patterns: Vec::new(),
            max_length: default_max_length(),
        }
    }
}

/// What happens when a check finds something.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SanitizeMode {
    /// The composition is refused.
    #[default]
    Block,
    /// What was found is removed.
    Redact,
    /// What was found is recorded only.
    Report,
}

/// A built-in rule against prompt injection.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum InjectionRule {
    /// Asks to ignore or forget instructions given before.
    IgnoreInstructions,
    /// Gives the model another role or removes its restrictions.
    RoleOverride,
    /// Asks for the system prompt.
    SystemPromptLeak,
    /// Imitates the turns of a conversation, for example a line that starts with System:.
    FakeTurn,
    /// Contains tokens of chat templates, for example <|im_start|>.
    ChatTemplateTokens,
    /// Contains template syntax, for example {{ or {%.
    TemplateSyntax,
    /// Imitates tool calls or their results.
    FakeToolCall,
    /// Asks to send data to an address, or hides it in an image's URL.
    Exfiltration,
    /// Contains long encoded passages (base64, hexadecimal).
    EncodedPayload,
    /// Contains invisible or bidirectional control characters.
    HiddenCharacters,
}

impl InjectionRule {
    /// All ten rules.
    pub const ALL: [Self; 10] = [
        Self::IgnoreInstructions,
        Self::RoleOverride,
        Self::SystemPromptLeak,
        Self::FakeTurn,
        Self::ChatTemplateTokens,
        Self::TemplateSyntax,
        Self::FakeToolCall,
        Self::Exfiltration,
        Self::EncodedPayload,
        Self::HiddenCharacters,
    ];

    /// The name as the resources write it; also a metric label.
    pub fn name(self) -> &'static str {
        match self {
            Self::IgnoreInstructions => "IgnoreInstructions",
            Self::RoleOverride => "RoleOverride",
            Self::SystemPromptLeak => "SystemPromptLeak",
            Self::FakeTurn => "FakeTurn",
            Self::ChatTemplateTokens => "ChatTemplateTokens",
            Self::TemplateSyntax => "TemplateSyntax",
            Self::FakeToolCall => "FakeToolCall",
            Self::Exfiltration => "Exfiltration",
            Self::EncodedPayload => "EncodedPayload",
            Self::HiddenCharacters => "HiddenCharacters",
        }
    }
}
