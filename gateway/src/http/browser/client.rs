//! The gateway's client metadata document, for authorization servers that know
//! clients by the URL of one (MCP authorization, client ID metadata documents).

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::AppState;
use crate::oauth::{CALLBACK, CLIENT_DOCUMENT};

/// Metadata of a client (RFC 7591, section 2).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct ClientMetadata {
    client_id: String,
    client_name: &'static str,
    redirect_uris: [String; 1],
    grant_types: [&'static str; 2],
    response_types: [&'static str; 1],
    token_endpoint_auth_method: &'static str,
}

/// Metadata of the gateway as an OAuth client
#[utoipa::path(
    get, path = "/v1/oauth/client.json", tag = "browser",
    responses((status = 200, body = ClientMetadata))
)]
pub(in crate::http) async fn document(State(state): State<AppState>) -> Json<ClientMetadata> {
    let url = &state.public_url;
    Json(ClientMetadata {
        client_id: format!("{url}{CLIENT_DOCUMENT}"),
        client_name: "AgentAPI",
        redirect_uris: [format!("{url}{CALLBACK}")],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        token_endpoint_auth_method: "none",
    })
}
