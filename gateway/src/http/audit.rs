//! The record, for those who may read it.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::page::{List, PageQuery, Parameters};
use super::problem::ProblemDocument;
use super::{AppState, Problem};
use crate::audit;
use crate::auth::Caller;
use crate::domain::audit::{CheckpointProblem, Mark, Record};
use crate::store::{AuditFilter, TenantId};
use crate::telemetry::chain;

/// One record, without the key of its commitments.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecordDocument {
    id: Uuid,
    /// Writer epoch whose chain it belongs to.
    writer: Uuid,
    /// Position in the chain, from 1.
    sequence: u64,
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    organization: String,
    /// The user; absent once erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// The API key that acted for the user, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<Uuid>,
    #[schema(example = "tool.call")]
    action: &'static str,
    #[schema(example = "notes/add_note")]
    resource: String,
    /// `intent`, `success`, `denied` or `failure`.
    outcome: &'static str,
    /// A stable code of what went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    hash: String,
    previous_hash: String,
}

/// Which records are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RecordQuery {
    /// Exact action, for example `tool.call`.
    action: Option<String>,
    /// Exact user.
    actor: Option<String>,
    /// What this API key did.
    #[serde(rename = "apiKey")]
    api_key: Option<Uuid>,
    /// Exact resource, for example `notes/add_note`.
    resource: Option<String>,
    /// `intent`, `success`, `denied` or `failure`.
    outcome: Option<String>,
    /// Not before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Most records returned, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<Uuid>,
}

/// What a verification found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VerificationDocument {
    /// Chains read, one for each writer epoch.
    writers: usize,
    /// Records read.
    records: u64,
    /// Signed checkpoints read.
    checkpoints: u64,
    /// Whether the last checkpoint was compared with what is kept besides the
    /// database: `checked`, `none` or `unavailable`.
    anchor: &'static str,
    /// What is wrong with records; empty if the record is whole.
    problems: Vec<ProblemInChain>,
    /// What is wrong with checkpoints; empty if the record is whole.
    checkpoint_problems: Vec<ProblemInCheckpoint>,
    /// Most records that were lost with processes that died in buffered mode.
    may_lack: u64,
}

/// One thing wrong in a chain.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProblemInChain {
    writer: Uuid,
    sequence: u64,
    what: String,
}

/// One thing wrong with a checkpoint.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProblemInCheckpoint {
    number: u64,
    what: String,
}

/// Lists the organization's record, newest first
#[utoipa::path(
    get, path = "/v1/audit", tag = "governance", params(RecordQuery),
    responses(
        (status = 200, body = List<RecordDocument>),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Parameters(query): Parameters<RecordQuery>,
) -> Result<Json<List<RecordDocument>>, Problem> {
    let page = PageQuery::new(query.limit, query.cursor).page()?;
    let filter = AuditFilter {
        action: query.action,
        actor: query.actor,
        api_key: query.api_key,
        resource: query.resource,
        outcome: query.outcome,
        since: query.since,
        until: query.until,
    };
    let page = state
        .store
        .audit_page(caller.tenant_id(), &filter, page)
        .await?;
    Ok(Json(List::of(page, document)))
}

/// Verifies every chain and checkpoint of the organization's record
#[utoipa::path(
    get, path = "/v1/audit/verify", tag = "governance",
    responses(
        (status = 200, body = VerificationDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn verify(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<VerificationDocument>, Problem> {
    let (anchor, known) = anchor(&state, caller.tenant_id()).await;
    let keys = state.signer.as_ref().map(|signer| signer.keys().clone());
    let keys = keys.unwrap_or_default();
    let found = audit::verify(&*state.store, caller.tenant_id(), &keys, known).await?;
    let problem = |problem: &crate::domain::audit::Problem| ProblemInChain {
        writer: problem.writer,
        sequence: problem.sequence,
        what: problem.what.to_string(),
    };
    let checkpoint = |problem: &CheckpointProblem| ProblemInCheckpoint {
        number: problem.number,
        what: problem.what.to_string(),
    };
    Ok(Json(VerificationDocument {
        writers: found.writers,
        records: found.records,
        checkpoints: found.checkpoints,
        anchor,
        problems: found.problems.iter().map(problem).collect(),
        checkpoint_problems: found.checkpoint_problems.iter().map(checkpoint).collect(),
        may_lack: found.may_lack,
    }))
}

/// The last checkpoint as it is kept besides the store, and whether it is known.
async fn anchor(state: &AppState, tenant: TenantId) -> (&'static str, Option<Mark>) {
    match state.anchors.anchor(tenant).await {
        Ok(Some(mark)) => ("checked", Some(mark)),
        Ok(None) => ("none", None),
        Err(error) => {
            tracing::warn!(
                error = chain(&error),
                "the anchor of an audit record cannot be read"
            );
            ("unavailable", None)
        }
    }
}

fn document(record: Record) -> RecordDocument {
    RecordDocument {
        id: record.id,
        writer: record.writer,
        sequence: record.sequence,
        time: record.time,
        organization: record.organization,
        actor: record.actor,
        api_key: record.api_key,
        action: record.action.name(),
        resource: record.resource,
        outcome: record.outcome.name(),
        reason: record.reason,
        request_id: record.request_id,
        address: record.address,
        user_agent: record.user_agent,
        hash: record.hash,
        previous_hash: record.previous_hash,
    }
}
