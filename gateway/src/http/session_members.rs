//! Who shares a session: nobody, until its owner says so.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::act::finished;
use super::body::JsonBody;
use super::problem::ProblemDocument;
use super::sessions::{owned, session_id};
use super::{AppState, ErrorCode, Problem, RequestContext};
use crate::auth::Caller;
use crate::domain::audit::Action;
use crate::store::{SessionMember, SessionRole};

/// Longest user id, in bytes, as in tokens.
const MAX_USER: usize = 256;

/// A user who shares a session.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct MemberDocument {
    user: String,
    role: MemberRole,
}

/// Everybody who shares a session, without its owner.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct MemberList {
    /// By name; at most 100.
    items: Vec<MemberDocument>,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum MemberRole {
    /// Work in it: use its MCP endpoint, with credentials of one's own.
    Participant,
    /// See it and its events.
    Viewer,
}

/// What a member is to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PutMember {
    role: MemberRole,
}

/// Lists those who share a session
#[utoipa::path(
    get, path = "/v1/sessions/{id}/members", tag = "sessions", params(("id" = Uuid, Path)),
    responses(
        (status = 200, body = MemberList),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn list_members(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<MemberList>, Problem> {
    let id = session_id(&id)?;
    let members = state
        .store
        .session_members(caller.tenant_id(), &caller.user, id)
        .await?;
    let members = members.ok_or_else(Problem::not_found)?;
    let items = members.into_iter().filter_map(document).collect();
    Ok(Json(MemberList { items }))
}

/// Shares a session with a user, or changes what they may do
///
/// Only the owner may. The user need not be known yet: whoever the organization's
/// issuer calls so gets in.
#[utoipa::path(
    put, path = "/v1/sessions/{id}/members/{user}", tag = "sessions", request_body = PutMember,
    params(("id" = Uuid, Path), ("user" = String, Path)),
    responses(
        (status = 204),
        (status = 409, description = "`member_limit`: Too many members.", body = ProblemDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn put_member(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    Path((id, user)): Path<(String, String)>,
    JsonBody(body): JsonBody<PutMember>,
) -> Result<StatusCode, Problem> {
    let id = session_id(&id)?;
    if user.is_empty() || user.len() > MAX_USER || user.chars().any(char::is_control) {
        let detail = format!("user must have 1 to {MAX_USER} bytes without control characters");
        return Err(Problem::new(ErrorCode::InvalidRequest, detail));
    }
    if *caller.user == *user {
        let detail = "the owner of a session cannot be its member";
        return Err(Problem::new(ErrorCode::InvalidRequest, detail));
    }
    let role = match body.role {
        MemberRole::Participant => SessionRole::Participant,
        MemberRole::Viewer => SessionRole::Viewer,
    };
    let resource = format!("sessions/{id}/members/{user}");
    let act = state
        .recorder
        .intent(caller.tenant_id(), &context, Action::SessionShare, resource)
        .await?;
    let member = SessionMember { user, role };
    let shared = share(&state, &caller, id, &member).await;
    finished(act, shared).await.map(|()| StatusCode::NO_CONTENT)
}

async fn share(
    state: &AppState,
    caller: &Caller,
    id: uuid::Uuid,
    member: &SessionMember,
) -> Result<(), Problem> {
    owned(state, caller, id).await?;
    let put = state
        .store
        .put_session_member(caller.tenant_id(), &caller.user, id, member)
        .await?;
    put.then_some(()).ok_or_else(Problem::not_found)
}

/// Takes a user out of a session
///
/// The owner takes out anybody, and everybody themselves. Their MCP sessions in
/// it do not answer any more.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}/members/{user}", tag = "sessions",
    params(("id" = Uuid, Path), ("user" = String, Path)),
    responses(
        (status = 204),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn remove_member(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    Path((id, user)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let id = session_id(&id)?;
    let resource = format!("sessions/{id}/members/{user}");
    let act = state
        .recorder
        .intent(
            caller.tenant_id(),
            &context,
            Action::SessionUnshare,
            resource,
        )
        .await?;
    let removed = take_out(&state, &caller, id, &user).await;
    finished(act, removed)
        .await
        .map(|()| StatusCode::NO_CONTENT)
}

async fn take_out(
    state: &AppState,
    caller: &Caller,
    id: uuid::Uuid,
    user: &str,
) -> Result<(), Problem> {
    if *caller.user != *user {
        owned(state, caller, id).await?;
    }
    let removed = state
        .store
        .remove_session_member(caller.tenant_id(), id, user)
        .await?;
    removed.then_some(()).ok_or_else(Problem::not_found)
}

fn document(member: SessionMember) -> Option<MemberDocument> {
    let role = match member.role {
        SessionRole::Participant => MemberRole::Participant,
        SessionRole::Viewer => MemberRole::Viewer,
        // No row says so.
        SessionRole::Owner => return None,
    };
    Some(MemberDocument {
        user: member.user,
        role,
    })
}
