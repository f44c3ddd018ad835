//! Checking a chain, record by record.

use std::fmt;

use uuid::Uuid;

use super::checkpoint::ChainState;
use super::claims::Claim;
use super::seal::{Head, commitment};
use super::{CommitmentKey, Record};

/// One thing wrong in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Writer epoch of the chain.
    pub writer: Uuid,
    /// Position in the chain.
    pub sequence: u64,
    /// What is wrong there.
    pub what: Flaw,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "record {} of writer {}: {}",
            self.sequence, self.writer, self.what
        )
    }
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The content does not hash to the record's hash.
    #[error("was changed: its content does not match its hash")]
    Changed,
    /// A personal field does not match its commitment.
    #[error("was changed: {field} does not match its commitment")]
    FieldChanged {
        /// Name of the field.
        field: &'static str,
    },
    /// Personal fields or their key are gone, but not all of them together.
    #[error("was erased in part: personal fields and their key go together")]
    ErasedInPart,
    /// Records are not there.
    #[error("is missing, up to record {through}")]
    Missing {
        /// The last missing position.
        through: u64,
    },
    /// The record does not follow the one before it.
    #[error("does not follow the record before it: that one was changed or replaced")]
    NotChained,
    /// The record stands at another position than its own.
    #[error("is out of order: record {expected} belongs here")]
    OutOfOrder {
        /// The position at which it was found.
        expected: u64,
    },
    /// The record is not the one that a checkpoint states.
    #[error(
        "is not the one that checkpoint {checkpoint} states: it, or one before it, was replaced"
    )]
    NotAsStated {
        /// Number of the checkpoint.
        checkpoint: u64,
    },
    /// The last records of the chain are not there.
    #[error(
        "is missing, with everything after it: checkpoint {checkpoint} states the chain up to record {through}"
    )]
    CutOff {
        /// The last position stated.
        through: u64,
        /// Number of the checkpoint.
        checkpoint: u64,
    },
    /// The record was added after its chain was closed.
    #[error("was added after the chain was closed")]
    AfterClose,
    /// The record belongs to another writer's chain.
    #[error("belongs to writer {writer}")]
    ForeignWriter {
        /// The writer it names.
        writer: Uuid,
    },
}

/// Walks one chain in order, remembering nothing but its head.
///
/// Names every record that was changed, removed or moved. The removal of the
/// last records, and a chain rewritten from one record to its end, are seen
/// where checkpoints claim more than is there.
#[derive(Clone, Debug)]
pub struct ChainCheck {
    writer: Uuid,
    head: Head,
    claim: Option<Claim>,
    /// How many of the claimed heads have been passed.
    passed: usize,
}

impl ChainCheck {
    /// Before the first record of the writer's chain, with what checkpoints say of it.
    pub fn new(writer: Uuid, claim: Option<Claim>) -> Self {
        Self {
            writer,
            head: Head::default(),
            claim,
            passed: 0,
        }
    }

    /// The writer whose chain it is.
    pub fn writer(&self) -> Uuid {
        self.writer
    }

    /// Position of the last record seen.
    pub fn sequence(&self) -> u64 {
        self.head.sequence
    }

    /// Looks at the next record; returns what is wrong with it, or before it.
    pub fn next(&mut self, record: &Record) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut found = |sequence, what| {
            problems.push(Problem {
                writer: self.writer,
                sequence,
                what,
            })
        };

        if record.writer != self.writer {
            found(
                record.sequence,
                Flaw::ForeignWriter {
                    writer: record.writer,
                },
            );
        }
        let expected = self.head.sequence + 1;
        match record.sequence {
            sequence if sequence > expected => found(
                expected,
                Flaw::Missing {
                    through: sequence - 1,
                },
            ),
            sequence if sequence < expected => found(sequence, Flaw::OutOfOrder { expected }),
            sequence if record.previous_hash != self.head.hash => found(sequence, Flaw::NotChained),
            _ => {}
        }
        if record.computed_hash() != record.hash {
            found(record.sequence, Flaw::Changed);
        }
        for flaw in personal_flaws(record) {
            found(record.sequence, flaw);
        }
        if record.sequence >= expected {
            self.head = Head::after(record);
        }
        let writer = self.writer;
        problems.extend(self.compare(record).map(|what| Problem {
            writer,
            sequence: record.sequence,
            what,
        }));
        problems
    }

    /// After the last record that is there: what checkpoints claim beyond it.
    pub fn finish(self) -> Option<Problem> {
        let claim = self.claim?;
        let claimed = claim.heads.last()?;
        let gone = claim.state == ChainState::Dropped && self.head.sequence == 0;
        let what = match self.head.sequence {
            _ if gone => return None,
            last if last < claimed.sequence => Flaw::CutOff {
                through: claimed.sequence,
                checkpoint: claimed.checkpoint,
            },
            last if last > claimed.sequence && claim.state != ChainState::Open => Flaw::AfterClose,
            _ => return None,
        };
        Some(Problem {
            writer: self.writer,
            sequence: self.head.sequence.min(claimed.sequence) + 1,
            what,
        })
    }

    /// Whether the record is what a checkpoint states for its position.
    fn compare(&mut self, record: &Record) -> Option<Flaw> {
        let heads = &self.claim.as_ref()?.heads;
        while let Some(claimed) = heads.get(self.passed) {
            if claimed.sequence > record.sequence {
                return None;
            }
            self.passed += 1;
            if claimed.sequence == record.sequence && claimed.hash != record.hash {
                let checkpoint = claimed.checkpoint;
                return Some(Flaw::NotAsStated { checkpoint });
            }
        }
        None
    }
}

/// What is wrong with the fields that do not enter the hash themselves.
fn personal_flaws(record: &Record) -> Vec<Flaw> {
    let fields = record.personal_fields();
    // The length is part of the key: HMAC pads a shorter one with zeros.
    let mut bytes = CommitmentKey::default();
    let key = record
        .commitment_key
        .as_deref()
        .map(|key| hex::decode_to_slice(key, &mut bytes).map(|()| bytes));
    match key {
        None if fields.iter().all(|(_, value)| value.is_none()) => Vec::new(),
        Some(Ok(key)) if fields.iter().all(|(_, value)| value.is_some()) => fields
            .iter()
            .zip(&record.commitments)
            .filter(|((field, value), stated)| {
                commitment(&key, field, value.unwrap_or_default()) != **stated
            })
            .map(|((field, _), _)| Flaw::FieldChanged { field })
            .collect(),
        Some(Err(_)) => vec![Flaw::Changed],
        _ => vec![Flaw::ErasedInPart],
    }
}
