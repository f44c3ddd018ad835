//! The record as a signed file, and the keys that verify it.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde_json::Value;

use super::problem::ProblemDocument;
use super::{AppState, ErrorCode, Problem, RequestContext};
use crate::audit;
use crate::auth::Caller;
use crate::domain::audit::{Action, Outcome, Signer};

/// JSON Lines, as most programs call it.
const JSON_LINES: &str = "application/jsonl";

/// Exports the organization's record as signed JSON Lines
///
/// Header, checkpoints, records and trailer, each a JSON object on a line of its
/// own; `agentapi audit verify` verifies the file without any server. What cannot
/// be read to its end has no trailer.
#[utoipa::path(
    get, path = "/v1/audit/export", tag = "governance",
    responses(
        (status = 200, body = String, content_type = "application/jsonl"),
        (status = 400, description = "`not_supported`: No key signs the record of this installation.", body = ProblemDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn export(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
) -> Result<Response, Problem> {
    let signer = signer(&state)?;
    let (tenant, resource) = (caller.tenant_id(), "audit".to_owned());
    let (action, outcome) = (Action::AuditExport, Outcome::Success);
    state
        .recorder
        .record(tenant, &context, action, resource, outcome, None)
        .await?;
    let organization = caller.tenant.config.organization.clone();
    let file = format!("attachment; filename=\"audit-{organization}.jsonl\"");
    let lines = audit::export(state.store.clone(), signer, tenant, organization);
    let headers = [
        (CONTENT_TYPE, JSON_LINES.to_owned()),
        (CONTENT_DISPOSITION, file),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// Returns the public keys that verify the record, as a JSON Web Key Set
#[utoipa::path(
    get, path = "/v1/audit/keys", tag = "governance",
    responses(
        (status = 200, body = Value, content_type = "application/json"),
        (status = 400, description = "`not_supported`: No key signs the record of this installation.", body = ProblemDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn keys(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    Ok(Json(signer(&state)?.keys().key_set()))
}

fn signer(state: &AppState) -> Result<Arc<Signer>, Problem> {
    state.signer.clone().ok_or_else(|| {
        Problem::new(
            ErrorCode::NotSupported,
            "no key signs the record of this installation: its operator sets AGENTAPI_AUDIT_SIGNING_KEY",
        )
    })
}
