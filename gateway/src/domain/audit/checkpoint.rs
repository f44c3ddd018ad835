//! Checkpoints: signed statements of how far every chain of an organization has come.
//!
//! A chain by itself does not show that its last records were removed, nor that
//! it was rewritten from one record to its end. A checkpoint does, for all
//! records up to the heads it states. Checkpoints of one organization are chained
//! themselves, so that none of them can be left out unseen but the last ones;
//! for those the last one's number and hash are kept elsewhere, too.

use std::fmt;

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::signing::{Signature, Signer};
use super::{GENESIS_HASH, Head};

/// Where a chain stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChainState {
    /// Its writer may add to it.
    Open,
    /// Nothing can be added to it any more.
    Closed,
    /// Its time was over, and its records are removed after this statement.
    Dropped,
}

impl ChainState {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Dropped => "dropped",
        }
    }
}

/// How far one chain has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainHead {
    /// The writer epoch whose chain it is.
    pub writer: Uuid,
    /// Position of its last record.
    pub sequence: u64,
    /// Hash of its last record.
    pub hash: String,
    /// Where it stands in its life.
    pub state: ChainState,
    /// Most records that the writer may have acknowledged in buffered mode and
    /// not written when it died; of all organizations together.
    pub may_lack: u32,
}

/// What a checkpoint states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// How the document is made: 1.
    pub version: u32,
    /// The organization's tenant id.
    pub tenant: Uuid,
    /// Position among the organization's checkpoints, from 1.
    pub number: u64,
    /// Hash of the checkpoint before it; 64 zeros for the first.
    pub previous_hash: String,
    /// When it was made.
    pub time: Timestamp,
    /// Whether every chain that is kept is stated, so that a reader needs none before it.
    pub full: bool,
    /// The chains: all open ones, those closed since the last checkpoint, and,
    /// if `full`, all others.
    pub chains: Vec<ChainHead>,
}

/// A signed statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The statement as JSON: exactly the bytes that are signed and hashed.
    pub document: String,
    /// Signature of the document.
    pub signature: Signature,
}

/// The last checkpoint of an organization, in few bytes: what is kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its number; 0 before the first.
    pub number: u64,
    /// Its hash.
    pub hash: String,
}

impl Default for Mark {
    fn default() -> Self {
        Self {
            number: 0,
            hash: GENESIS_HASH.to_owned(),
        }
    }
}

/// `NUMBER:HASH`, as it stands in the log.
impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.number, self.hash)
    }
}

/// A text that is no mark.
#[derive(Debug, thiserror::Error)]
#[error("expected NUMBER:HASH with 64 hexadecimal digits, as in the gateway's log")]
pub struct NoMark;

impl std::str::FromStr for Mark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Self, NoMark> {
        let (number, hash) = text.split_once(':').ok_or(NoMark)?;
        let number = number.parse().map_err(|_| NoMark)?;
        let digits = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits
            .then(|| Self {
                number,
                hash: hash.to_ascii_lowercase(),
            })
            .ok_or(NoMark)
    }
}

impl Statement {
    /// The bytes that are signed: JSON as RFC 8785 has it.
    fn canonical(&self) -> String {
        let chain = |chain: &ChainHead| {
            json!({
                "hash": chain.hash,
                "mayLack": chain.may_lack,
                "sequence": chain.sequence,
                "state": chain.state.name(),
                "writer": chain.writer,
            })
        };
        json!({
            "chains": self.chains.iter().map(chain).collect::<Vec<_>>(),
            "full": self.full,
            "number": self.number,
            "previousHash": self.previous_hash,
            "tenant": self.tenant,
            "time": self.time.to_string(),
            "version": self.version,
        })
        .to_string()
    }
}

impl Checkpoint {
    /// Signs the statement that follows `last`.
    pub fn sign(
        signer: &Signer,
        tenant: Uuid,
        last: &Mark,
        time: Timestamp,
        full: bool,
        chains: Vec<ChainHead>,
    ) -> Self {
        let statement = Statement {
            version: 1,
            tenant,
            number: last.number + 1,
            previous_hash: last.hash.clone(),
            time,
            full,
            chains,
        };
        let document = statement.canonical();
        Self {
            signature: signer.sign(document.as_bytes()),
            document,
        }
    }

    /// SHA-256 of the document, hexadecimal.
    pub fn hash(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, self.document.as_bytes()))
    }

    /// What it states.
    ///
    /// # Errors
    /// When the document is not a statement that this build reads.
    pub fn statement(&self) -> Result<Statement, serde_json::Error> {
        serde_json::from_str(&self.document)
    }
}

impl ChainHead {
    /// The head as a record would follow it.
    pub fn head(&self) -> Head {
        Head {
            sequence: self.sequence,
            hash: self.hash.clone(),
        }
    }
}
