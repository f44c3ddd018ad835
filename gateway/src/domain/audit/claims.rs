//! Checking checkpoints, and what they say of each chain.

use std::collections::BTreeMap;
use std::fmt;

use uuid::Uuid;

use super::checkpoint::{ChainState, Checkpoint, Mark, Statement};
use super::signing::VerifyingKeys;

/// One thing wrong with the checkpoints of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointProblem {
    /// Number of the checkpoint.
    pub number: u64,
    /// What is wrong with it.
    pub what: CheckpointFlaw,
}

impl fmt::Display for CheckpointProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "checkpoint {}: {}", self.number, self.what)
    }
}

/// What is wrong with a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFlaw {
    /// The document is no statement.
    #[error("cannot be read")]
    Unreadable,
    /// No known key signed the document as it is.
    #[error("was changed, or signed by an unknown key: its signature by key {key} does not verify")]
    Signature {
        /// The key that it names.
        key: String,
    },
    /// It speaks for another organization.
    #[error("belongs to tenant {tenant}")]
    ForeignTenant {
        /// The tenant it names.
        tenant: Uuid,
    },
    /// Checkpoints are not there.
    #[error("is missing, up to checkpoint {through}")]
    Missing {
        /// The last missing one.
        through: u64,
    },
    /// It does not follow the one before it.
    #[error("does not follow the checkpoint before it: that one was changed or replaced")]
    NotChained,
    /// It stands where another one belongs.
    #[error("is out of order: checkpoint {expected} belongs here")]
    OutOfOrder {
        /// The number that belongs there.
        expected: u64,
    },
    /// It is not what was kept elsewhere.
    #[error("is not the one that the anchor names: checkpoints were replaced")]
    NotAsAnchored,
    /// The last ones are not there.
    #[error("is missing, with everything after it: the anchor names checkpoint {anchored}")]
    CutOff {
        /// The number that was kept elsewhere.
        anchored: u64,
    },
}

/// What checkpoints say of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its heads over time, by rising sequence.
    pub(super) heads: Vec<ClaimedHead>,
    /// Its last known state.
    pub(super) state: ChainState,
    /// Most records lost when its writer died.
    pub may_lack: u32,
}

/// One head that a checkpoint states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClaimedHead {
    pub(super) sequence: u64,
    pub(super) hash: String,
    pub(super) checkpoint: u64,
}

/// What checkpoints say of all chains.
pub type Claims = BTreeMap<Uuid, Claim>;

/// Walks the checkpoints of an organization in order.
pub struct CheckpointCheck<'k> {
    keys: &'k VerifyingKeys,
    tenant: Uuid,
    anchor: Option<Mark>,
    last: Option<Mark>,
    claims: Claims,
}

impl<'k> CheckpointCheck<'k> {
    /// Before the first checkpoint. `anchor` is what was kept elsewhere.
    pub fn new(keys: &'k VerifyingKeys, tenant: Uuid, anchor: Option<Mark>) -> Self {
        Self {
            keys,
            tenant,
            anchor,
            last: None,
            claims: Claims::new(),
        }
    }

    /// Number of the last checkpoint seen.
    pub fn number(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.number)
    }

    /// Looks at the next checkpoint; returns what is wrong with it, or before it.
    pub fn next(&mut self, checkpoint: &Checkpoint) -> Vec<CheckpointProblem> {
        let expected = self.number() + 1;
        let Ok(statement) = checkpoint.statement() else {
            return vec![CheckpointProblem {
                number: expected,
                what: CheckpointFlaw::Unreadable,
            }];
        };
        let hash = checkpoint.hash();
        let mut flaws = Vec::new();
        let signed = self
            .keys
            .verify(checkpoint.document.as_bytes(), &checkpoint.signature);
        if !signed {
            flaws.push((
                statement.number,
                CheckpointFlaw::Signature {
                    key: checkpoint.signature.key.clone(),
                },
            ));
        }
        if statement.tenant != self.tenant {
            let tenant = statement.tenant;
            flaws.push((statement.number, CheckpointFlaw::ForeignTenant { tenant }));
        }
        flaws.extend(self.position(&statement, expected));
        let anchored = self
            .anchor
            .as_ref()
            .is_some_and(|anchor| anchor.number == statement.number && anchor.hash != hash);
        if anchored {
            flaws.push((statement.number, CheckpointFlaw::NotAsAnchored));
        }
        if signed && statement.tenant == self.tenant {
            self.claim(&statement);
        }
        if statement.number >= expected {
            self.last = Some(Mark {
                number: statement.number,
                hash,
            });
        }
        flaws
            .into_iter()
            .map(|(number, what)| CheckpointProblem { number, what })
            .collect()
    }

    /// After the last checkpoint: what is still wrong, and what they say of the chains.
    pub fn finish(self) -> (Vec<CheckpointProblem>, Claims) {
        let last = self.number();
        let cut = self.anchor.filter(|anchor| anchor.number > last);
        let problems = cut.map(|anchor| CheckpointProblem {
            number: last + 1,
            what: CheckpointFlaw::CutOff {
                anchored: anchor.number,
            },
        });
        (problems.into_iter().collect(), self.claims)
    }

    fn position(&self, statement: &Statement, expected: u64) -> Option<(u64, CheckpointFlaw)> {
        let number = statement.number;
        match &self.last {
            // Those before a full one may have been removed with what they spoke of.
            None if number == 1 || statement.full => None,
            _ if number > expected => {
                let through = number - 1;
                Some((expected, CheckpointFlaw::Missing { through }))
            }
            _ if number < expected => Some((number, CheckpointFlaw::OutOfOrder { expected })),
            Some(last) if statement.previous_hash != last.hash => {
                Some((number, CheckpointFlaw::NotChained))
            }
            _ => None,
        }
    }

    fn claim(&mut self, statement: &Statement) {
        for chain in &statement.chains {
            let claim = self.claims.entry(chain.writer).or_insert(Claim {
                heads: Vec::new(),
                state: ChainState::Open,
                may_lack: 0,
            });
            claim.state = chain.state;
            claim.may_lack = claim.may_lack.max(chain.may_lack);
            let last = claim.heads.last();
            if last.is_none_or(|last| last.sequence < chain.sequence) {
                claim.heads.push(ClaimedHead {
                    sequence: chain.sequence,
                    hash: chain.hash.clone(),
                    checkpoint: statement.number,
                });
            }
        }
    }
}
