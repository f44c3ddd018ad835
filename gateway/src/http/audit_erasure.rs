//! Erasing a person from the record.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::problem::ProblemDocument;
use super::{AppState, Problem, RequestContext};
use crate::auth::Caller;
use crate::domain::audit::{Action, Outcome};

/// Whose personal fields are erased.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Erasure {
    /// The user, exactly as in the record.
    actor: String,
}

/// What was erased.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Erased {
    /// Records whose personal fields are gone. They still verify.
    records: u64,
}

/// Erases the personal fields of a user from the organization's record
///
/// User, address and agent of every record that names the user are removed
/// together with the key of their commitments, and nothing else.
#[utoipa::path(
    post, path = "/v1/audit/erasures", tag = "governance", request_body = Erasure,
    responses(
        (status = 200, body = Erased),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn erase(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    JsonBody(body): JsonBody<Erasure>,
) -> Result<Json<Erased>, Problem> {
    let tenant = caller.tenant_id();
    // The resource enters the hash as it is, so it does not say who was erased.
    let act = state
        .recorder
        .intent(tenant, &context, Action::AuditErase, "audit".to_owned())
        .await?;
    match state.store.erase_actor(tenant, &body.actor).await {
        Ok(records) => {
            act.finish(Outcome::Success, None).await?;
            Ok(Json(Erased { records }))
        }
        Err(error) => {
            let problem = Problem::from(error);
            act.finish(Outcome::Failure, Some(problem.code().name()))
                .await?;
            Err(problem)
        }
    }
}
