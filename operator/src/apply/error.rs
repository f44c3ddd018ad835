//! Why a write did not happen.

use agentapi_crds::conditions::reasons;

use crate::leader::NotLeading;
use crate::object::Kind;

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// An object of the needed name exists, and the operator did not make it for this organization.
    #[error(
        "{object} exists and was not made by this operator for this organization, so it is left alone: {advice}"
    )]
    NotOurs {
        /// The object.
        object: String,
        /// How to proceed.
        advice: &'static str,
    },
    /// The object appears and goes; it is tried again.
    #[error("{object} was made or deleted by others at the same time: it is tried again")]
    Changing {
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

/// How to proceed where a namespace is somebody else's.
const FOREIGN_NAMESPACE: &str = "delete it if nobody needs it, or recreate the organization with another spec.namespace; a deployment tool must not create it (Argo CD: remove CreateNamespace=true)";
/// How to proceed where a namespace was retained when its organization was deleted.
const RETAINED_NAMESPACE: &str = "it holds what an earlier organization left: to take it over, recreate this organization with that one's tenantId (the namespace's label agentapi.dev/tenant-id) as spec.tenantId and the annotation agentapi.dev/take-over naming the namespace; to begin anew, recreate it with another spec.namespace";
/// How to proceed where an object is somebody else's.
const FOREIGN_OBJECT: &str = "delete or rename it, or choose another name";

impl WriteError {
    /// `is_managed` tells whether the operator made the object, for another organization.
    pub(crate) fn not_ours(kind: Kind, object: String, is_managed: bool) -> Self {
        let advice = match (kind, is_managed) {
            (Kind::Namespace, true) => RETAINED_NAMESPACE,
            (Kind::Namespace, false) => FOREIGN_NAMESPACE,
            _ => FOREIGN_OBJECT,
        };
        Self::NotOurs { object, advice }
    }

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
            Self::Terminating { .. } | Self::Changing { .. } | Self::NamespaceNotReady { .. } => {
                reasons::PROGRESSING
            }
            Self::Read { .. } | Self::Write { .. } | Self::Encode { .. } | Self::NotLeading(_) => {
                reasons::APPLY_FAILED
            }
        }
    }

    /// Whether the API server calls what was to be written invalid.
    pub(crate) fn is_invalid(&self) -> bool {
        match self {
            Self::Write { source, .. } => {
                matches!(source.as_ref(), kube::Error::Api(status) if status.is_invalid())
            }
            _ => false,
        }
    }

    /// What kind of error it is, for metrics.
    pub fn class(&self) -> &'static str {
        match self {
            Self::NotOurs { .. } => "not-ours",
            Self::Terminating { .. } => "terminating",
            Self::Changing { .. } => "changing",
            Self::NamespaceNotReady { .. } => "namespace-not-ready",
            Self::Encode { .. } => "encode",
            Self::NotLeading(_) => "not-leading",
            Self::Read { source, .. } | Self::Write { source, .. } => class(source),
        }
    }

    /// Whether nothing changes before a person does something: the name is
    /// taken, or the API server calls the object invalid.
    pub fn is_stalled(&self) -> bool {
        match self {
            Self::NotOurs { .. } => true,
            Self::Write { .. } => self.is_invalid(),
            Self::Terminating { .. }
            | Self::Changing { .. }
            | Self::NamespaceNotReady { .. }
            | Self::Read { .. }
            | Self::Encode { .. }
            | Self::NotLeading(_) => false,
        }
    }
}

fn class(error: &kube::Error) -> &'static str {
    let kube::Error::Api(status) = error else {
        return "connection";
    };
    match status.code {
        403 => "forbidden",
        404 => "not-found",
        409 => "conflict",
        422 => "invalid",
        429 => "too-many-requests",
        500.. => "server",
        _ => "request",
    }
}

/// What the API server said, without the noise of its wrapping.
fn cause(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
