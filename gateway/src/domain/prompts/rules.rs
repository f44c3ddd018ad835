//! The ten built-in rules against prompt injection.
//!
//! The names are those of [`InjectionRule`], which organizations switch on and
//! off; the expressions are here and only here. They see text after Unicode
//! compatibility normalization without invisible characters, so that a
//! full-width or zero-width spelling does not hide a match. They are a net
//! with known holes: they catch the common and the careless, and a composed
//! prompt must not rely on them as its only fence.

use std::ops::Range;
use std::sync::LazyLock;

use agentapi_crds::prompt_policy::InjectionRule;
use regex::{Regex, RegexBuilder};

/// Expression of each rule, matched without regard to case.
///
/// [`InjectionRule::HiddenCharacters`] has none: what it looks for is found,
/// and removed, while the text is normalized (`text.rs`).
const EXPRESSIONS: [(InjectionRule, &str); 9] = [
    // "ignore all previous instructions", "forget the rules above"
    (
        InjectionRule::IgnoreInstructions,
        r"\b(?:ignore|disregard|forget|override|bypass|discard|do not follow|don't follow)\b[^.!?]{0,60}\b(?:instructions?|prompts?|rules?|directions?|guidelines?|polic(?:y|ies)|context|everything (?:above|before)|(?:all|everything) (?:previous|prior|above))\b",
    ),
    // "you are now DAN", "enable developer mode", "without any restrictions"
    (
        InjectionRule::RoleOverride,
        r"\byou are (?:now|no longer)\b|\b(?:act|behave|respond) as (?:if you|though you|an? (?:unrestricted|unfiltered|different|new|evil))\b|\bpretend (?:to be|that you|you)\b|\b(?:developer|jailbreak|god|dan|sudo) mode\b|\bwithout (?:any )?(?:restrictions?|limits|filters?|guardrails?|safety)\b|\byour new (?:role|identity|persona|instructions?|task) (?:is|are)\b",
    ),
    // "reveal your system prompt", "repeat the instructions above"
    (
        InjectionRule::SystemPromptLeak,
        r"\b(?:reveal|show|print|repeat|output|display|leak|dump|recite|tell me|give me|what (?:is|are|was|were))\b[^.!?]{0,40}\b(?:system|initial|hidden|original|secret|internal|your)\b[^.!?]{0,20}\b(?:prompts?|instructions?|rules)\b",
    ),
    // A line "System: …" that reads like a turn of the conversation
    (
        InjectionRule::FakeTurn,
        r"(?m)^[\s>*#_-]*(?:system|assistant|user|human|developer|tool|ai)[\s*_]*(?:message|prompt)?[\s*_]*:",
    ),
    // <|im_start|>, [INST], <<SYS>>, <start_of_turn>, ### Instruction:
    (
        InjectionRule::ChatTemplateTokens,
        r"<\|[a-z_0-9]{2,40}\|>|\[/?inst\]|<</?sys>>|</?(?:start|end)_of_turn>|<(?:bos|eos|s|/s)>|#{2,}\s*(?:instruction|response|system)s?\s*:",
    ),
    // {{ … }}, {% … %}, ${ … }, <% … %>
    (
        InjectionRule::TemplateSyntax,
        r"\{\{|\}\}|\{%|%\}|\{#|#\}|\$\{|<%|%>",
    ),
    // <tool_call>, <function_results>, "tool_use_id":
    (
        InjectionRule::FakeToolCall,
        r#"</?(?:[a-z]+:)?(?:tool_calls?|tool_use|tool_results?|function_calls?|function_results?|invoke)\b|"(?:tool_call_id|tool_use_id|tool_calls|function_call)"\s*:|"type"\s*:\s*"(?:tool_use|tool_result|function_call)""#,
    ),
    // "send it to https://…", ![](https://…?q=…), <img src=…>
    (
        InjectionRule::Exfiltration,
        r"\b(?:send|post|upload|forward|transmit|exfiltrate|submit|e-?mail|leak)\b[^!?]{0,80}\bto\b[^!?]{0,20}(?:https?://|www\.|[a-z0-9._%+-]+@[a-z0-9-]+\.)|!\[[^\]]{0,200}\]\(\s*https?://|<img\b[^>]{0,200}\bsrc\b",
    ),
    // A base64 run of 96 characters, a hexadecimal one of 48 bytes
    (
        InjectionRule::EncodedPayload,
        r"(?:[0-9a-f]{2}){48,}|[a-z0-9+/_-]{96,}={0,2}",
    ),
];

/// A rule with its compiled expression.
pub(super) struct Detector {
    pub(super) rule: InjectionRule,
    expression: Regex,
}

impl Detector {
    /// Where the rule finds something.
    pub(super) fn find<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        self.expression.find_iter(text).map(|found| found.range())
    }
}

/// The built-in rules, compiled once for the whole process.
pub(super) fn detectors() -> Result<&'static [Detector], regex::Error> {
    static DETECTORS: LazyLock<Result<Vec<Detector>, regex::Error>> = LazyLock::new(|| {
        EXPRESSIONS
            .iter()
            .map(|&(rule, source)| {
                Ok(Detector {
                    rule,
                    expression: expression(source)?,
                })
            })
            .collect()
    });
    DETECTORS.as_deref().map_err(Clone::clone)
}

/// Largest compiled form of one expression, in bytes: tenants write some of them.
const EXPRESSION_SIZE: usize = 1 << 20;

/// An expression of ours or of a policy, matched without regard to case.
pub(super) fn expression(source: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(source)
        .case_insensitive(true)
        .size_limit(EXPRESSION_SIZE)
        .dfa_size_limit(EXPRESSION_SIZE)
        .build()
}
