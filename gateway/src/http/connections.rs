//! The caller's accounts at upstream servers, for programs; pages for people are in `browser`.

use agentapi_crds::tenant_config::CredentialScope;
use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use super::act::finished;
use super::denied::require;
use super::page::List;
use super::problem::ProblemDocument;
use super::{AppState, ErrorCode, Problem, RequestContext};
use crate::auth::Caller;
use crate::domain::access::Right;
use crate::domain::audit::Action;
use crate::oauth::{OAuthError, connect_path};
use crate::store::{Connection, ConnectionState, Paged};
use crate::upstream::{AccessToken, NoToken, Principal, UpstreamTokens};

/// An account that is connected at an upstream server.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConnectionDocument {
    /// Name of the MCP server.
    server: String,
    /// Whose it is: `user`, or `organization` where everybody uses the same.
    holder: &'static str,
    /// Who consented.
    connected_by: String,
    /// The authorization server.
    issuer: String,
    scopes: Vec<String>,
    /// `connected`; `reconnect` where only new consent helps; `revoking` and
    /// `unrevoked` after it was ended: the authorization server has yet to revoke
    /// the tokens, or did not, however often it was asked.
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    connected_at: Timestamp,
    /// When its tokens last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// Where an account is connected.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConnectLink {
    server: String,
    /// To be opened with a browser by the caller: whoever opens it logs in, and
    /// anybody else connects nothing.
    connect_url: String,
}

/// Gives the link by which the caller connects an account at a server
#[utoipa::path(
    post, path = "/v1/oauth/{server}/authorize", tag = "oauth", params(("server" = String, Path)),
    responses(
        (status = 200, body = ConnectLink),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn authorize(
    State(state): State<AppState>,
    caller: Caller,
    context: RequestContext,
    Path(server): Path<String>,
) -> Result<Json<ConnectLink>, Problem> {
    holder(&state, &caller, &context, &server).await?;
    Ok(Json(ConnectLink {
        connect_url: connect_url(&state, &caller, &server),
        server,
    }))
}

/// Has the caller's token for a server refreshed now
#[utoipa::path(
    post, path = "/v1/oauth/{server}/refresh", tag = "oauth", params(("server" = String, Path)),
    responses(
        (status = 200, body = ConnectionDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn refresh(
    State(state): State<AppState>,
    caller: Caller,
    context: RequestContext,
    Path(server): Path<String>,
) -> Result<Json<ConnectionDocument>, Problem> {
    let holder = holder(&state, &caller, &context, &server).await?;
    let resource = format!("oauth/{server}");
    let act = state
        .recorder
        .intent(
            caller.tenant_id(),
            &context.0,
            Action::OAuthRefresh,
            resource,
        )
        .await?;
    let refreshed = renewed(&state, &caller, &server, holder).await;
    finished(act, refreshed)
        .await
        .map(|connection| Json(document(connection)))
}

/// Ends the caller's connection with a server: its tokens are used no longer, and revoked
#[utoipa::path(
    delete, path = "/v1/oauth/{server}", tag = "oauth", params(("server" = String, Path)),
    responses(
        (status = 204),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn disconnect(
    State(state): State<AppState>,
    caller: Caller,
    context: RequestContext,
    Path(server): Path<String>,
) -> Result<StatusCode, Problem> {
    let resource = format!("oauth/{server}");
    let holder = match caller.tenant.servers.contains_key(&server) {
        true => holder(&state, &caller, &context, &server).await?,
        // The server is gone; the account that was connected for it may still be there.
        false => former_holder(&state, &caller, &server).await?,
    };
    let act = state
        .recorder
        .intent(
            caller.tenant_id(),
            &context.0,
            Action::OAuthDisconnect,
            resource,
        )
        .await?;
    let ended = state
        .oauth
        .disconnect(caller.tenant_id(), &server, holder.as_deref())
        .await;
    let ended = ended.map(drop).map_err(Problem::from);
    finished(act, ended).await.map(|()| StatusCode::NO_CONTENT)
}

/// Lists the caller's accounts and those of the organization; with a browser, as a page
#[utoipa::path(
    get, path = "/v1/oauth/connections", tag = "oauth",
    responses(
        (status = 200, body = List<ConnectionDocument>),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<List<ConnectionDocument>>, Problem> {
    let connections = state
        .store
        .connections(caller.tenant_id(), &caller.user)
        .await?;
    let all = Paged {
        items: connections,
        next: None,
    };
    Ok(Json(List::of(all, document)))
}

/// Whose connection with a server the caller means: their own, or the
/// organization's, which takes a right of its own.
async fn holder(
    state: &AppState,
    caller: &Caller,
    context: &RequestContext,
    server: &str,
) -> Result<Option<String>, Problem> {
    let found = caller.tenant.servers.get(server);
    let config = &found.ok_or_else(Problem::not_found)?.config;
    if config.oauth.is_none() {
        return Err(OAuthError::NotOAuth.into());
    }
    match config.credential_scope {
        CredentialScope::User => Ok(Some(caller.user.to_string())),
        CredentialScope::Organization => {
            let resource = format!("oauth/{server}");
            let right = Right::ConnectionsAdminister;
            require(state, caller, context, right, &resource).await?;
            Ok(None)
        }
    }
}

async fn former_holder(
    state: &AppState,
    caller: &Caller,
    server: &str,
) -> Result<Option<String>, Problem> {
    let (tenant, store) = (caller.tenant_id(), &state.store);
    let own = store.connection(tenant, server, Some(&caller.user)).await?;
    if own.is_some() {
        return Ok(Some(caller.user.to_string()));
    }
    let shared = match caller.may(Right::ConnectionsAdminister) {
        true => store.connection(tenant, server, None).await?,
        false => None,
    };
    shared.map(|_| None).ok_or_else(Problem::not_found)
}

/// The connection with other tokens than it has now, by whichever replica gets them.
async fn renewed(
    state: &AppState,
    caller: &Caller,
    server: &str,
    holder: Option<String>,
) -> Result<Connection, Problem> {
    let tenant = caller.tenant_id();
    let found = state.store.connection(tenant, server, holder.as_deref());
    let found = found
        .await?
        .filter(|found| found.state == ConnectionState::Connected);
    let before = found.map(|found| AccessToken {
        authorization: http::HeaderValue::from_static(""),
        connection: found.id,
        version: found.version,
    });
    let principal = Principal {
        tenant,
        user: Some(caller.user.clone()),
    };
    let token = state.oauth.token(&principal, server, before.as_ref());
    token
        .await
        .map_err(|error| no_token(state, caller, server, error))?;
    let found = state.store.connection(tenant, server, holder.as_deref());
    found.await?.ok_or_else(Problem::not_found)
}

fn no_token(state: &AppState, caller: &Caller, server: &str, error: NoToken) -> Problem {
    let link = connect_url(state, caller, server);
    match error {
        NoToken::NotConnected { .. } => Problem::new(
            ErrorCode::NotConnected,
            format!("no account is connected: open {link}"),
        ),
        NoToken::Reconnect { .. } => {
            let detail = format!("the account must be connected again: open {link}");
            Problem::new(ErrorCode::ReconnectRequired, detail)
        }
        NoToken::NoUser => Problem::new(ErrorCode::Forbidden, error.to_string()),
        NoToken::Unavailable(source) => {
            tracing::warn!(
                server,
                error = crate::telemetry::chain(&*source),
                "no token can be had"
            );
            let detail = "the authorization server did not give a token now";
            Problem::new(ErrorCode::AuthorizationServerFailed, detail)
        }
    }
}

fn connect_url(state: &AppState, caller: &Caller, server: &str) -> String {
    let organization = &caller.tenant.config.organization;
    let path = connect_path(organization, server, caller.tenant_id(), &caller.user);
    format!("{}{path}", state.public_url)
}

fn document(connection: Connection) -> ConnectionDocument {
    ConnectionDocument {
        server: connection.server,
        holder: match connection.holder {
            Some(_) => "user",
            None => "organization",
        },
        connected_by: connection.connected_by,
        issuer: connection.issuer,
        scopes: connection.scopes,
        state: connection.state.name(),
        connected_at: connection.connected_at,
        updated_at: connection.updated_at,
    }
}
