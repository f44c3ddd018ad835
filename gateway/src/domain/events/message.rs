//! The document that is sent, and the header fields that go with it.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::SigningSecrets;
use crate::domain::audit::Record;

/// An event as a webhook's body (Standard Webhooks 1.0, "Payload structure").
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: Data<'a>,
}

/// What the record says. With `writer`, `sequence` and `hash` it is found in the
/// record again, and compared with it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    id: Uuid,
    organization: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<Uuid>,
    resource: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    writer: Uuid,
    sequence: u64,
    hash: &'a str,
}

/// The body of the message about a record. Personal fields that have been erased
/// from the record are not in it.
///
/// # Errors
/// Never for a record that can be read; the serializer's, should that change.
pub fn message(record: &Record) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Message {
        r#type: record.action.name(),
        timestamp: record.time,
        data: Data {
            id: record.id,
            organization: &record.organization,
            actor: record.actor.as_deref(),
            api_key: record.api_key,
            resource: &record.resource,
            outcome: record.outcome.name(),
            reason: record.reason.as_deref(),
            request_id: &record.request_id,
            address: record.address.as_deref(),
            user_agent: record.user_agent.as_deref(),
            writer: record.writer,
            sequence: record.sequence,
            hash: &record.hash,
        },
    })
}

/// The header fields of one attempt (Standard Webhooks 1.0, "Webhook headers").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// `webhook-id`: the same for every attempt, so that receivers can tell a repetition.
    pub id: String,
    /// `webhook-timestamp`: seconds since 1970, of this attempt.
    pub timestamp: String,
    /// `webhook-signature`: one signature for each secret, separated by spaces.
    pub signature: String,
}

impl Headers {
    /// Signs an attempt to deliver `body` that is made `now`.
    pub fn sign(secrets: &SigningSecrets, id: Uuid, now: Timestamp, body: &str) -> Self {
        let (id, timestamp) = (id.to_string(), now.as_second().to_string());
        Self {
            signature: secrets.sign(&format!("{id}.{timestamp}.{body}")),
            id,
            timestamp,
        }
    }
}
