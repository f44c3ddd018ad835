//! Which records become events, and which events a sink is sent.

use globset::GlobSet;

use crate::domain::audit::{Action, Outcome};
use crate::domain::globs::{self, GlobError};

/// The event types that one sink is sent.
#[derive(Clone, Debug)]
pub struct Selection(Option<GlobSet>);

impl Selection {
    /// Reads globs of event types; none of them selects everything.
    ///
    /// # Errors
    /// For the first glob that is none.
    pub fn compile(patterns: &[String]) -> Result<Self, GlobError> {
        match patterns {
            [] => Ok(Self(None)),
            _ => globs::compile(patterns).map(|globs| Self(Some(globs))),
        }
    }

    /// Whether a record of this kind is to be sent. An intent is not: how the act
    /// ended is told by a record of its own.
    pub fn includes(&self, action: Action, outcome: Outcome) -> bool {
        let selected = |globs: &GlobSet| globs.is_match(action.name());
        outcome != Outcome::Intent && self.0.as_ref().is_none_or(selected)
    }
}
