//! Rendered text: normalized, and knowing which parts of it were put in.
//!
//! The author of a policy may write "never reveal the system prompt"; a value
//! that says so is an attack. So only what touches a value counts as found.

use std::ops::Range;

use minijinja::{OutputSpan, OutputSpanKind};
use unicode_normalization::UnicodeNormalization;

/// What a removed passage leaves behind, so that its neighbours do not grow together.
const REMOVED: &str = "[removed]";

/// Text in Unicode normalization form KC without invisible characters.
#[derive(Debug, Default)]
pub(super) struct Text {
    content: String,
    /// Ranges of `content` that expressions of the template put there, in order.
    inserted: Vec<Range<usize>>,
    /// Whether what was put there held invisible characters.
    pub(super) had_hidden: bool,
}

impl Text {
    /// Normalizes what a template rendered, piece by piece, so that it stays
    /// known where each piece came from.
    pub(super) fn rendered(raw: &str, spans: &[OutputSpan]) -> Self {
        let mut text = Self::default();
        let mut end = 0;
        for span in spans {
            let range = span.output_range();
            // Text that no span covers is of unknown origin: checked like a value.
            text.push(raw.get(end..range.start), true);
            text.push(raw.get(range.clone()), span.kind() != OutputSpanKind::Raw);
            end = range.end;
        }
        text.push(raw.get(end..), true);
        text
    }

    fn push(&mut self, piece: Option<&str>, inserted: bool) {
        let piece = piece.unwrap_or_default();
        let start = self.content.len();
        self.content
            .extend(piece.nfkc().filter(|character| !is_hidden(*character)));
        if inserted {
            self.had_hidden |= piece.chars().any(is_hidden);
            if self.content.len() > start {
                self.inserted.push(start..self.content.len());
            }
        }
    }

    /// The text as it stands.
    pub(super) fn as_str(&self) -> &str {
        &self.content
    }

    /// Whether a range overlaps something that was put in.
    pub(super) fn touches_inserted(&self, range: &Range<usize>) -> bool {
        self.inserted
            .iter()
            .any(|inserted| inserted.start < range.end && range.start < inserted.end)
    }

    /// The text with each of the ranges replaced by a mark.
    pub(super) fn without(&self, mut ranges: Vec<Range<usize>>) -> String {
        ranges.sort_by_key(|range| range.start);
        let mut kept = String::with_capacity(self.content.len());
        let mut end = 0;
        for range in ranges {
            if range.start >= end {
                kept.push_str(self.content.get(end..range.start).unwrap_or_default());
                kept.push_str(REMOVED);
            }
            end = end.max(range.end);
        }
        kept.push_str(self.content.get(end..).unwrap_or_default());
        kept
    }
}

/// Whether a character is invisible, or changes the direction of its
/// neighbours: what a reader does not see but a model does.
pub(super) fn is_hidden(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}' => true,
        '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E0FFF}' => true,
        other => other.is_control(),
    }
}
