//! Whether an MCP server can be used, asked of the server itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, State};
use tokio::time::timeout;
use uuid::Uuid;

use super::mcp_server_documents::McpServerTest;
use super::mcp_server_rules::{may_have_own, of_organization};
use super::problem::ProblemDocument;
use super::{AppState, ErrorCode, Problem, RequestContext};
use crate::auth::Caller;
use crate::domain::audit::{Action, Outcome};
use crate::telemetry::chain;
use crate::upstream::{Operation, Principal, Server, UpstreamError, inspect};

/// How long asking one server may take in all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tests an MCP server
///
/// Connects for real, with the stored credentials and within the organization's
/// egress, lists the tools and ends the session. A server that cannot be used is an
/// answer too: `ok` is false and `failure` says why.
#[utoipa::path(
    post, path = "/v1/mcp/servers/{id}/test", tag = "mcp", params(("id" = Uuid, Path)),
    responses(
        (status = 200, body = McpServerTest),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn test_server(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    Path(id): Path<String>,
) -> Result<Json<McpServerTest>, Problem> {
    let id = Uuid::try_parse(&id).map_err(|_| Problem::not_found())?;
    let server = find(&state, &caller, id).await?;
    let (tenant, resource) = (caller.tenant_id(), format!("mcp-servers/{id}"));
    let act = state
        .recorder
        .intent(tenant, &context, Action::McpServerTest, resource)
        .await?;
    let principal = Arc::new(Principal {
        tenant,
        user: Some(caller.user.clone()),
    });
    let started = Instant::now();
    let found = timeout(PATIENCE, inspect(&server, &principal)).await;
    let found = found.unwrap_or(Err(UpstreamError::Timeout(PATIENCE)));
    let took = started.elapsed();
    let failure = found.as_ref().err().map(UpstreamError::code);
    let label = failure.unwrap_or("success");
    state.metrics.upstream(Operation::List.name(), label, took);
    let outcome = match failure {
        None => Outcome::Success,
        Some(_) => Outcome::Failure,
    };
    act.finish(outcome, failure).await?;
    Ok(Json(McpServerTest::new(found, took)))
}

/// The caller's own server as it is stored now, not as it is served: a test finds
/// no breaker open. Or the organization's, as it is served.
async fn find(state: &AppState, caller: &Caller, id: Uuid) -> Result<Arc<Server>, Problem> {
    let tenant = caller.tenant_id();
    if let Some(row) = state.store.mcp_config(tenant, &caller.user, id).await? {
        may_have_own(caller)?;
        let compiled = state.user_servers.compile(&caller.tenant, &row);
        let invalid = |error| Problem::new(ErrorCode::InvalidRequest, chain(&error));
        return compiled.map(Arc::new).map_err(invalid);
    }
    let found = of_organization(caller, id);
    found.cloned().ok_or_else(Problem::not_found)
}
