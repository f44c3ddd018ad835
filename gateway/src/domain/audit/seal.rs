//! From an entry to the next record of a chain.

use std::sync::Arc;

use aws_lc_rs::hmac;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Action, Context, Outcome, Record};

/// `previousHash` of the first record of a chain.
pub const GENESIS_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Key of one record's commitments: 16 random bytes.
pub type CommitmentKey = [u8; 16];

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who, from where, in which request.
    pub context: Arc<Context>,
    /// What is done.
    pub action: Action,
    /// What it is done to.
    pub resource: String,
    /// Where in the life of the act the record stands.
    pub outcome: Outcome,
    /// A stable code of what went wrong, where something did.
    pub reason: Option<&'static str>,
}

/// What makes a record this one: given from outside, because this module has no clock and no dice.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// UUIDv7 of the record.
    pub id: Uuid,
    /// When it is written; kept to the microsecond.
    pub time: Timestamp,
    /// Fresh random bytes.
    pub key: CommitmentKey,
}

/// The end of a chain: what the next record is tied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Position of the last record, 0 before the first.
    pub sequence: u64,
    /// Hash of the last record.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            sequence: 0,
            hash: GENESIS_HASH.to_owned(),
        }
    }
}

impl Head {
    /// The head once `record` is the last one.
    pub fn after(record: &Record) -> Self {
        Self {
            sequence: record.sequence,
            hash: record.hash.clone(),
        }
    }

    /// The next record of the chain that `writer` keeps.
    pub fn seal(&self, writer: Uuid, stamp: Stamp, entry: &Entry) -> Record {
        let context = &entry.context;
        let actor = recordable(&context.actor, 512);
        let address = recordable(&context.address, 64);
        let user_agent = recordable(&context.user_agent, 512);
        let mut record = Record {
            id: stamp.id,
            writer,
            sequence: self.sequence + 1,
            time: to_microsecond(stamp.time),
            organization: recordable(&context.organization, 253),
            api_key: context.api_key,
            action: entry.action,
            resource: recordable(&entry.resource, 1024),
            outcome: entry.outcome,
            reason: entry.reason.map(str::to_owned),
            request_id: recordable(&context.request_id, 128),
            commitment_key: Some(hex::encode(stamp.key)),
            commitments: [
                commitment(&stamp.key, "actor", &actor),
                commitment(&stamp.key, "address", &address),
                commitment(&stamp.key, "userAgent", &user_agent),
            ],
            actor: Some(actor),
            address: Some(address),
            user_agent: Some(user_agent),
            previous_hash: self.hash.clone(),
            hash: String::new(),
        };
        record.hash = record.computed_hash();
        record
    }
}

/// HMAC-SHA-256 with the record's key over the field's name, a zero byte and the value.
pub(super) fn commitment(key: &[u8], field: &str, value: &str) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(field.as_bytes());
    context.update(&[0]);
    context.update(value.as_bytes());
    hex::encode(context.sign())
}

/// The text as it can be stored anywhere: PostgreSQL refuses NUL characters, and
/// one caller's refused or endless text must not fail the batch it shares with others.
fn recordable(text: &str, longest: usize) -> String {
    text.chars()
        .take(longest)
        .map(|c| {
            if c == '\0' {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Databases keep microseconds; what is hashed must be what is read back.
fn to_microsecond(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}
