//! The end of a user in an organization.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

use super::act::finished;
use super::problem::ProblemDocument;
use super::{AppState, ErrorCode, Problem, RequestContext};
use crate::auth::Caller;
use crate::domain::audit::Action;

/// What was ended.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OffboardedDocument {
    user: String,
    /// Accounts at upstream servers, whose tokens are being revoked.
    connections: u64,
    /// Agent sessions and MCP sessions.
    sessions: u64,
    api_keys: u64,
}

/// Ends everything of a user: sessions, API keys, and accounts at upstream servers, which are revoked
#[utoipa::path(
    post, path = "/v1/users/{user}/offboard", tag = "governance",
    description = "May be repeated. It does not keep the user out: the organization's issuer does that, by giving no more tokens.",
    params(("user" = String, Path)),
    responses(
        (status = 200, body = OffboardedDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn offboard(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    Path(user): Path<String>,
) -> Result<Json<OffboardedDocument>, Problem> {
    if user.is_empty() || user.contains('\0') {
        let detail = "the user must have a name without NUL characters";
        return Err(Problem::new(ErrorCode::InvalidRequest, detail));
    }
    let tenant = caller.tenant_id();
    let resource = format!("users/{user}");
    let act = state
        .recorder
        .intent(tenant, &context, Action::UserOffboard, resource)
        .await?;
    let ended = state.store.offboard(tenant, &user).await;
    let user: Arc<str> = user.into();
    state.oauth.forget_user(&caller.tenant, &user).await;
    let ended = finished(act, ended.map_err(Problem::from)).await?;
    Ok(Json(OffboardedDocument {
        user: user.to_string(),
        connections: ended.connections,
        sessions: ended.sessions,
        api_keys: ended.api_keys,
    }))
}
