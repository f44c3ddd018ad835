//! OAuth 2.0 protected resource metadata (RFC 9728), for each organization its own.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

use super::problem::ProblemDocument;
use super::{AppState, Problem};

/// Metadata of a protected resource (RFC 9728, section 2).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ResourceMetadata {
    /// The resource's identifier.
    resource: String,
    /// Issuers of the organization, and of no other.
    authorization_servers: Vec<String>,
    /// How tokens are sent.
    bearer_methods_supported: [&'static str; 1],
}

/// Metadata of an organization's MCP endpoint
#[utoipa::path(
    get, path = "/.well-known/oauth-protected-resource/o/{organization}/mcp", tag = "mcp",
    params(("organization" = String, Path)),
    responses((status = 200, body = ResourceMetadata), (status = "4XX", body = ProblemDocument))
)]
pub(super) async fn organization(
    State(state): State<AppState>,
    Path(organization): Path<String>,
) -> Result<Json<ResourceMetadata>, Problem> {
    metadata(&state, &organization, &format!("/o/{organization}/mcp"))
}

/// Metadata of the MCP endpoint of one server
#[utoipa::path(
    get, path = "/.well-known/oauth-protected-resource/o/{organization}/mcp/{server}", tag = "mcp",
    params(("organization" = String, Path), ("server" = String, Path)),
    responses((status = 200, body = ResourceMetadata), (status = "4XX", body = ProblemDocument))
)]
pub(super) async fn server(
    State(state): State<AppState>,
    Path((organization, server)): Path<(String, String)>,
) -> Result<Json<ResourceMetadata>, Problem> {
    metadata(
        &state,
        &organization,
        &format!("/o/{organization}/mcp/{server}"),
    )
}

/// Says nothing about servers: whether one exists is for callers to know.
fn metadata(
    state: &AppState,
    organization: &str,
    path: &str,
) -> Result<Json<ResourceMetadata>, Problem> {
    let tenant = state
        .tenants
        .get(organization)
        .ok_or_else(Problem::not_found)?;
    let mut issuers: Vec<String> = tenant
        .issuers
        .iter()
        .map(|issuer| issuer.config.issuer.clone())
        .collect();
    issuers.dedup();
    Ok(Json(ResourceMetadata {
        resource: format!("{}{path}", state.public_url),
        authorization_servers: issuers,
        bearer_methods_supported: ["header"],
    }))
}
