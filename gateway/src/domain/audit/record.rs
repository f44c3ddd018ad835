//! One record, and the bytes of it that are hashed.

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Action, Outcome};

/// Who acts, from where, in which request: the same for all records of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Name of the organization.
    pub organization: String,
    /// The user.
    pub actor: String,
    /// The API key that acts for the user, where one does.
    pub api_key: Option<Uuid>,
    /// `X-Request-Id` of the request.
    pub request_id: String,
    /// Address the request came from.
    pub address: String,
    /// `User-Agent` of the request.
    pub user_agent: String,
}

/// One sealed record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// UUIDv7 of the record.
    pub id: Uuid,
    /// Writer epoch whose chain it belongs to.
    pub writer: Uuid,
    /// Position in the chain, from 1.
    pub sequence: u64,
    /// When it was written, to the microsecond.
    pub time: Timestamp,
    /// Name of the organization.
    pub organization: String,
    /// The user; absent once erased.
    pub actor: Option<String>,
    /// The API key that acted for the user, where one did. Not personal: whose it
    /// was is known only as long as the key is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Uuid>,
    /// What is done.
    pub action: Action,
    /// What it is done to, for example `notes/add_note` or a session id.
    pub resource: String,
    /// Where in the life of the act the record stands.
    pub outcome: Outcome,
    /// A stable code of what went wrong, where something did.
    pub reason: Option<String>,
    /// `X-Request-Id` of the request.
    pub request_id: String,
    /// Address the request came from; absent once erased.
    pub address: Option<String>,
    /// `User-Agent` of the request; absent once erased.
    pub user_agent: Option<String>,
    /// Key of the commitments to the personal fields (16 random bytes, hexadecimal); erased together with them.
    pub commitment_key: Option<String>,
    /// Commitments to `actor`, `address` and `userAgent`, hexadecimal: what enters the hash instead of them.
    pub commitments: [String; 3],
    /// Hash of the record before it in the chain; 64 zeros for the first.
    pub previous_hash: String,
    /// SHA-256 of [`Record::canonical`], hexadecimal.
    pub hash: String,
}

impl Record {
    /// The bytes that are hashed: everything but the hash itself and what can be
    /// erased, as the JSON of RFC 8785 (keys sorted, no white space). `version`
    /// says how these bytes are made; `apiKey` is a member where one acted.
    pub fn canonical(&self) -> Vec<u8> {
        let canonical = Canonical {
            action: self.action.name(),
            api_key: self.api_key,
            commitments: &self.commitments,
            id: self.id,
            organization: &self.organization,
            outcome: self.outcome.name(),
            previous_hash: &self.previous_hash,
            reason: self.reason.as_deref(),
            request_id: &self.request_id,
            resource: &self.resource,
            sequence: self.sequence,
            time: self.time,
            version: 1,
            writer: self.writer,
        };
        // Texts and numbers only: nothing of it can fail.
        serde_json::to_vec(&canonical).unwrap_or_default()
    }

    /// What [`Record::hash`] must be.
    pub fn computed_hash(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, &self.canonical()))
    }

    /// The personal fields in the order of their commitments, by their names in JSON.
    pub(super) fn personal_fields(&self) -> [(&'static str, Option<&str>); 3] {
        [
            ("actor", self.actor.as_deref()),
            ("address", self.address.as_deref()),
            ("userAgent", self.user_agent.as_deref()),
        ]
    }
}

/// What is hashed, in the order of its keys: the bytes do not depend on how
/// serde_json keeps its maps.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Canonical<'r> {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<Uuid>,
    commitments: &'r [String; 3],
    id: Uuid,
    organization: &'r str,
    outcome: &'static str,
    previous_hash: &'r str,
    reason: Option<&'r str>,
    request_id: &'r str,
    resource: &'r str,
    sequence: u64,
    time: Timestamp,
    version: u8,
    writer: Uuid,
}
