//! An organization's record as JSON Lines.
//!
//! ```text
//! {"type":"header", …}       whose record it is, and the public keys
//! {"type":"checkpoint", …}   all checkpoints, in order
//! {"type":"record", …}       all records, chain after chain, each in order
//! {"type":"trailer", …}      SHA-256 of all bytes before this line, signed
//! ```

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::signing::{KeyError, Signature, Signer};
use super::{Checkpoint, CheckpointProblem, Problem, Record};

/// The format's version.
pub(super) const VERSION: u32 = 1;

/// One line of an export.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Line {
    /// The first one.
    Header(Header),
    /// A checkpoint.
    Checkpoint(Checkpoint),
    /// A record, with the key of its commitments.
    Record(Box<Record>),
    /// The last one.
    Trailer(Trailer),
}

/// Whose record an export is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The format: 1.
    pub version: u32,
    /// The organization's tenant id.
    pub tenant: Uuid,
    /// The organization's name.
    pub organization: String,
    /// When it was exported.
    pub time: Timestamp,
    /// Public keys as a JSON Web Key Set. Whoever could replace the export could
    /// replace these: compare them with a key set had from elsewhere.
    pub keys: serde_json::Value,
}

/// The end of an export.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trailer {
    /// Records before it.
    pub records: u64,
    /// SHA-256 of all bytes before this line, hexadecimal.
    pub digest: String,
    /// Signature of `digest` as text.
    pub signature: Signature,
}

impl Header {
    /// The header of an export made now.
    pub fn new(tenant: Uuid, organization: String, time: Timestamp, signer: &Signer) -> Self {
        Self {
            version: VERSION,
            tenant,
            organization,
            time,
            keys: signer.keys().key_set(),
        }
    }
}

/// Something wrong in an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A record.
    Record(Problem),
    /// A checkpoint.
    Checkpoint(CheckpointProblem),
    /// The export itself.
    Export(ExportFlaw),
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(problem) => problem.fmt(formatter),
            Self::Checkpoint(problem) => problem.fmt(formatter),
            Self::Export(flaw) => write!(formatter, "the export {flaw}"),
        }
    }
}

/// What is wrong with an export as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportFlaw {
    /// The last line is not the trailer.
    #[error("was cut off: it ends without its trailer, after line {line}")]
    CutOff {
        /// The last line that is there.
        line: u64,
    },
    /// The bytes are not those that were signed.
    #[error("was changed: its bytes do not match the trailer")]
    Changed,
    /// The trailer's signature does not verify.
    #[error("is not signed by a known key: the signature by key {key} does not verify")]
    Signature {
        /// The key that it names.
        key: String,
    },
    /// A chain comes twice.
    #[error("has the chain of writer {writer} in two places")]
    Scattered {
        /// Whose chain.
        writer: Uuid,
    },
}

/// Why a text is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A line cannot be read.
    #[error("line {line} cannot be read as part of an audit export")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A line stands where it may not.
    #[error(
        "line {line} is out of place: expected a header, then checkpoints, records and one trailer"
    )]
    Place {
        /// Its number, from 1.
        line: u64,
    },
    /// The format is another one.
    #[error("the export has version {version}, this build reads {VERSION}: use a newer agentapi")]
    Version {
        /// The version it has.
        version: u32,
    },
    /// The keys in the header are none.
    #[error("the keys of the export cannot be read")]
    Keys(#[source] KeyError),
    /// There is no line at all.
    #[error("the file is empty")]
    Empty,
}
