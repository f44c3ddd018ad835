//! What admission reports.

use std::fmt;

use crate::definition::DefinitionError;

/// One thing that is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldError {
    /// Where, for example `spec.network.egress[0]`. Empty for the whole document.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl FieldError {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            formatter.write_str(&self.message)
        } else {
            write!(formatter, "{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for FieldError {}

/// Why the definitions of this build cannot be checked against.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionSetupError {
    /// The definitions cannot be derived.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// A schema uses a keyword that admission does not check.
    #[error("the schema of {kind} uses what admission does not check: {source}")]
    Schema {
        /// Kind of the definition.
        kind: String,
        /// The keyword and where it is.
        source: serde_json::Error,
    },
    /// A CEL rule does not compile.
    #[error("a rule of {kind} does not compile: {message}")]
    Rule {
        /// Kind of the definition.
        kind: String,
        /// The compiler's words.
        message: String,
    },
}
