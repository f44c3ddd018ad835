//! Prompts.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::body::JsonBody;
use super::problem::ProblemDocument;
use super::{AppState, Problem};
use crate::auth::Caller;
use crate::domain::prompts::{Composition, Variables};

/// What the prompt is composed for.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Preview {
    /// Name of the agent.
    agent: Option<String>,
    /// Name of the model.
    model: Option<String>,
    /// Workspace of the session; `default` if absent.
    workspace: Option<String>,
}

/// Composes the caller's prompt and shows which part came from where
#[utoipa::path(
    post, path = "/v1/prompts/preview", tag = "prompts", request_body = Preview,
    responses(
        (status = 200, body = Composition),
        (status = 422, description = "`prompt_refused`: A prompt policy refuses this.", body = ProblemDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn preview(
    State(_): State<AppState>,
    caller: Caller,
    JsonBody(body): JsonBody<Preview>,
) -> Result<Json<Composition>, Problem> {
    let variables = Variables {
        agent: body.agent,
        model: body.model,
        ..variables(&caller, body.workspace.as_deref().unwrap_or("default"))
    };
    Ok(Json(caller.tenant.prompts.compose(&variables)?))
}

/// What is known of a caller in a workspace.
pub(crate) fn variables(caller: &Caller, workspace: &str) -> Variables {
    Variables {
        organization: caller.tenant.config.organization.clone(),
        user: caller.user.to_string(),
        roles: caller.roles.to_vec(),
        workspace: workspace.to_owned(),
        agent: None,
        model: None,
    }
}
