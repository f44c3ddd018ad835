//! Events that could not be delivered, for the organization's administrators.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::act::finished;
use super::page::{List, PageQuery, Parameters};
use super::problem::ProblemDocument;
use super::{AppState, ErrorCode, Problem, RequestContext};
use crate::audit::OpenAct;
use crate::auth::Caller;
use crate::domain::audit::Action;
use crate::domain::events::message;
use crate::store::{DeadLetter, TenantId};

/// An event that could not be delivered.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeadLetterDocument {
    /// The `webhook-id` that its receiver knows it by.
    id: Uuid,
    /// Name of the event sink in the `Organization`.
    sink: String,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was given up.
    #[schema(value_type = String, format = DateTime)]
    dead_at: Timestamp,
    /// Attempts that were made.
    attempts: u32,
    /// Why the last one failed.
    last_error: String,
    /// The message. Only where one dead letter is read, and absent once its record is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    message: Option<Box<RawValue>>,
}

/// Lists events that could not be delivered
///
/// They are kept for 30 days.
#[utoipa::path(
    get, path = "/v1/dead-letters", tag = "governance", params(PageQuery),
    responses(
        (status = 200, body = List<DeadLetterDocument>),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn list_dead_letters(
    State(state): State<AppState>,
    caller: Caller,
    Parameters(query): Parameters<PageQuery>,
) -> Result<Json<List<DeadLetterDocument>>, Problem> {
    let page = query.page()?;
    let page = state
        .store
        .list_dead_letters(caller.tenant_id(), page)
        .await?;
    Ok(Json(List::of(page, |letter| document(letter, None))))
}

/// Shows an event that could not be delivered, with its message
#[utoipa::path(
    get, path = "/v1/dead-letters/{id}", tag = "governance", params(("id" = Uuid, Path)),
    responses(
        (status = 200, body = DeadLetterDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn read_dead_letter(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DeadLetterDocument>, Problem> {
    let id = letter_id(&id)?;
    let found = state.store.dead_letter(caller.tenant_id(), id).await?;
    let letter = found.ok_or_else(Problem::not_found)?;
    let message = letter.record.as_ref().map(message).transpose();
    let message = message.and_then(|text| text.map(RawValue::from_string).transpose());
    let message = message.map_err(|error| {
        tracing::error!(%error, "an event cannot be written as JSON");
        Problem::new(ErrorCode::Internal, "the message cannot be written")
    })?;
    Ok(Json(document(letter, message)))
}

/// Sends an event again that could not be delivered
#[utoipa::path(
    post, path = "/v1/dead-letters/{id}/replay", tag = "governance", params(("id" = Uuid, Path)),
    responses(
        (status = 204),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn replay_dead_letter(
    State(state): State<AppState>,
    caller: Caller,
    context: RequestContext,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.tenant_id();
    let (id, act) = begin(&state, tenant, &context, &id, Action::DeadLetterReplay).await?;
    let replayed = state.store.replay_dead_letter(tenant, id).await;
    finished(act, replayed.map_err(Problem::from).and_then(found)).await
}

/// Discards an event that could not be delivered
#[utoipa::path(
    delete, path = "/v1/dead-letters/{id}", tag = "governance", params(("id" = Uuid, Path)),
    responses(
        (status = 204),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn discard_dead_letter(
    State(state): State<AppState>,
    caller: Caller,
    context: RequestContext,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let tenant = caller.tenant_id();
    let (id, act) = begin(&state, tenant, &context, &id, Action::DeadLetterDiscard).await?;
    let discarded = state.store.discard_dead_letter(tenant, id).await;
    finished(act, discarded.map_err(Problem::from).and_then(found)).await
}

/// Records that something is about to be done to a dead letter.
async fn begin(
    state: &AppState,
    tenant: TenantId,
    RequestContext(context): &RequestContext,
    id: &str,
    action: Action,
) -> Result<(Uuid, OpenAct), Problem> {
    let id = letter_id(id)?;
    let resource = format!("dead-letters/{id}");
    let act = state.recorder.intent(tenant, context, action, resource);
    Ok((id, act.await?))
}

fn letter_id(id: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(id).map_err(|_| Problem::not_found())
}

fn found(found: bool) -> Result<StatusCode, Problem> {
    found
        .then_some(StatusCode::NO_CONTENT)
        .ok_or_else(Problem::not_found)
}

fn document(letter: DeadLetter, message: Option<Box<RawValue>>) -> DeadLetterDocument {
    DeadLetterDocument {
        id: letter.id,
        sink: letter.sink,
        created_at: letter.created_at,
        dead_at: letter.dead_at,
        attempts: letter.attempts,
        last_error: letter.last_error,
        message,
    }
}
