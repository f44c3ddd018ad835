//! What is wrong with a folder of manifests.

use std::fmt;
use std::path::PathBuf;

use agentapi_crds::admission::{AdmissionSetupError, FieldError};

use super::Origin;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestsError {
    /// The folder or a file in it cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// There is nothing to read.
    #[error("{} holds no manifests (*.yaml, *.yml, *.json)", .0.display())]
    Empty(PathBuf),
    /// Documents are wrong.
    #[error("{}", lines(.0))]
    Invalid(Vec<DocumentError>),
    /// The checks cannot be made: a defect of this program.
    #[error("manifests cannot be checked")]
    Setup(#[source] Box<AdmissionSetupError>),
}

/// One thing that is wrong with one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocumentError {
    /// Where the document was read.
    pub(crate) origin: Origin,
    /// The field and what is wrong with it.
    pub(crate) error: FieldError,
}

impl DocumentError {
    pub(super) fn at(origin: &Origin, errors: Vec<FieldError>) -> Vec<Self> {
        let located = errors.into_iter().map(|error| Self {
            origin: origin.clone(),
            error,
        });
        located.collect()
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.origin, self.error)
    }
}

fn lines(errors: &[DocumentError]) -> String {
    let lines: Vec<_> = errors.iter().map(DocumentError::to_string).collect();
    lines.join("\n")
}
