//! Why a write did not happen.

use agentapi_crds::conditions::reasons;

use crate::leader::NotLeading;

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// An object of the needed name exists, and the operator did not make it for this organization.
    #[error(
        "{object} exists and was not made by this operator for this organization, so it is left alone: delete or rename it, or choose another name"
    )]
    NotOurs {
        /// The object.
        object: String,
    },
    /// The object is being deleted; it is made again when it is gone.
    #[error("{object} is being deleted: it is made again when it is gone")]
    Terminating {
        /// The object.
        object: String,
    },
    /// Nothing may run in the namespace yet.
    #[error(
        "the namespace {namespace} is not closed by its organization yet: see the organization's conditions if this stays"
    )]
    NamespaceNotReady {
        /// The namespace.
        namespace: String,
    },
    /// The API server refused or failed a read.
    #[error("{object} cannot be read: {}", cause(source))]
    Read {
        /// The object.
        object: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// The API server refused or failed a write.
    #[error("{object} cannot be written: {}", cause(source))]
    Write {
        /// The object.
        object: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// The change cannot be expressed.
    #[error("{object} cannot be encoded: {source}")]
    Encode {
        /// The object.
        object: String,
        /// Why.
        source: serde_json::Error,
    },
    /// Another replica leads.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
}

impl WriteError {
    pub(crate) fn read(object: String, source: kube::Error) -> Self {
        Self::Read {
            object,
            source: Box::new(source),
        }
    }

    pub(crate) fn write(object: String, source: kube::Error) -> Self {
        Self::Write {
            object,
            source: Box::new(source),
        }
    }

    /// Reason of the condition that the error becomes.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotOurs { .. } => reasons::NAME_CONFLICT,
            Self::Terminating { .. } | Self::NamespaceNotReady { .. } => reasons::PROGRESSING,
            Self::Read { .. } | Self::Write { .. } | Self::Encode { .. } | Self::NotLeading(_) => {
                reasons::APPLY_FAILED
            }
        }
    }

    /// Whether nothing changes before a person does something: the name is
    /// taken, or the API server calls the object invalid.
    pub fn is_stalled(&self) -> bool {
        match self {
            Self::NotOurs { .. } => true,
            Self::Write { source, .. } => {
                matches!(source.as_ref(), kube::Error::Api(status) if status.is_invalid())
            }
            Self::Terminating { .. }
            | Self::NamespaceNotReady { .. }
            | Self::Read { .. }
            | Self::Encode { .. }
            | Self::NotLeading(_) => false,
        }
    }
}

/// What the API server said, without the noise of its wrapping.
fn cause(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
