//! Replaces parts of a text and keeps every other byte.

use std::ops::Range;

/// One part to replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Which part.
    pub span: Range<usize>,
    /// What stands there afterwards.
    pub with: String,
}

impl Edit {
    /// Replaces a part by a JSON string.
    pub fn string(span: Range<usize>, value: &str) -> Self {
        Self {
            span,
            with: serde_json::Value::from(value).to_string(),
        }
    }
}

/// The text with all edits made. Edits are in order and do not overlap; one
/// that does is left out, which cannot happen for spans of one message.
pub fn splice(text: &str, edits: &[Edit]) -> String {
    let grown: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut spliced = String::with_capacity(text.len() + grown);
    let mut done = 0;
    for edit in edits {
        if let Some(kept) = text.get(done..edit.span.start) {
            spliced.push_str(kept);
            spliced.push_str(&edit.with);
            done = edit.span.end;
        }
    }
    spliced.push_str(text.get(done..).unwrap_or_default());
    spliced
}
