//! Why a resource cannot be served as it is.

use std::fmt;

use agentapi_crds::conditions::reasons;

/// One thing that a person must change, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Reason of the condition it becomes; one of [`reasons`].
    pub reason: &'static str,
    /// Path of the field, for example `spec.auth.bearer.secretRef`.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// A problem of any reason.
    pub fn new(reason: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason,
            field: field.into(),
            message: message.into(),
        }
    }

    /// A field whose value cannot work.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(reasons::INVALID_SPEC, field, message)
    }

    /// A field that this version does not act on.
    pub fn not_supported(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(reasons::NOT_SUPPORTED, field, message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.message)
    }
}

/// All problems as the message of one condition.
pub fn summary(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    lines.join("; ")
}

/// What a resource contributes to its organization's document.
#[derive(Clone, Debug, PartialEq)]
pub enum Member<T> {
    /// It is served as written.
    Valid(T),
    /// It is left out at once: disabled, or without its Secret.
    Withdrawn(Problem),
    /// It keeps what it had in the live document, if it had anything.
    Invalid(Vec<Problem>),
}

impl<T> Member<T> {
    /// The value of a valid member.
    pub fn valid(&self) -> Option<&T> {
        match self {
            Self::Valid(value) => Some(value),
            Self::Withdrawn(_) | Self::Invalid(_) => None,
        }
    }

    /// What keeps the member from being served as written.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Valid(_) => &[],
            Self::Withdrawn(problem) => std::slice::from_ref(problem),
            Self::Invalid(problems) => problems,
        }
    }
}
