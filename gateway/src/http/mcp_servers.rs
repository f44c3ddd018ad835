//! MCP servers: those of the organization, to look at, and users' own, to keep.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, LOCATION};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use super::act::finished;
use super::body::JsonBody;
use super::idempotency::{CreateBody, replayed};
use super::mcp_server_documents::{
    AuthBody, CreateMcpServer, McpServerDocument, McpServerList, ReplaceMcpServer,
};
use super::mcp_server_rules::{
    can_be_served, entity_tag, is_free, is_free_prefix, matches_version, may_have_own,
    microseconds, no_own, of_organization, seal, stay_at_home, without_secret,
};
use super::page::{PageQuery, Parameters};
use super::problem::ProblemDocument;
use super::{AppState, ErrorCode, Problem, RequestContext};
use crate::auth::Caller;
use crate::domain::audit::{Action, Outcome};
use crate::domain::user_servers::{Settings, check_name};
use crate::store::{Created, CredentialsChange, McpConfig, SealedMcpConfig};

/// Most servers of one user.
const MOST: u32 = 20;
/// How often a change is tried that does not say which version it is for.
const ATTEMPTS: u32 = 3;

/// Which servers are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct McpServerQuery {
    /// Most servers returned, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Adds an MCP server of one's own
///
/// Where the organization allows it. The server is the caller's alone: nobody
/// else sees it, and it is served under `/mcp` and `/mcp/{server}` like the organization's.
#[utoipa::path(
    post, path = "/v1/mcp/servers", tag = "mcp", request_body = CreateMcpServer,
    params(("Idempotency-Key" = Option<String>, Header, description = "Adds one server however often it is sent.")),
    responses(
        (status = 201, body = McpServerDocument, headers(("ETag" = String, description = "Its version, for `If-Match`."))),
        (status = 409, description = "`mcp_server_limit`: Too many MCP servers. `mcp_server_name_taken`: The name of the MCP server is taken.", body = ProblemDocument),
        (status = 422, description = "`idempotency_key_reused`: The idempotency key belongs to another request.", body = ProblemDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn create_server(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    body: CreateBody<CreateMcpServer>,
) -> Result<Response, Problem> {
    let id = Uuid::now_v7();
    let (tenant, resource) = (caller.tenant_id(), format!("mcp-servers/{id}"));
    let act = state
        .recorder
        .intent(tenant, &context, Action::McpServerCreate, resource)
        .await?;
    let created = create(&state, &caller, id, body).await;
    state.user_servers.forget(&caller).await;
    match created {
        Ok(Created::Now(config)) => {
            act.finish(Outcome::Success, None).await?;
            Ok(made(&caller, config))
        }
        Ok(Created::Before(config)) => {
            act.finish(Outcome::Success, Some("replayed")).await?;
            Ok(replayed(made(&caller, config)))
        }
        Err(problem) => finished(act, Err(problem)).await,
    }
}

async fn create(
    state: &AppState,
    caller: &Caller,
    id: Uuid,
    body: CreateBody<CreateMcpServer>,
) -> Result<Created<McpConfig>, Problem> {
    let CreateMcpServer {
        name,
        url,
        auth,
        tools,
    } = body.value;
    may_have_own(caller)?;
    check_name(&name)?;
    let (shape, secret) = AuthBody::credentials(auth)?.check()?;
    let settings = Settings::check(url, shape, tools.into())?;
    is_free(caller, &name, &settings)?;
    let once = body.once.map(|once| without_secret(once, &name, &settings));
    let now = microseconds(Timestamp::now());
    let new = SealedMcpConfig {
        credentials: secret
            .map(|secret| seal(state, caller, id, &secret))
            .transpose()?,
        config: McpConfig {
            id,
            user: caller.user.to_string(),
            name,
            settings,
            version: 1,
            created_at: now,
            updated_at: now,
        },
    };
    can_be_served(state, caller, &new)?;
    let tenant = caller.tenant_id();
    let kept = state
        .store
        .create_mcp_config(tenant, new, MOST, once.as_ref());
    Ok(kept.await?)
}

/// Lists the MCP servers that the caller reaches
///
/// Those of the organization are declared in Kubernetes and cannot be changed here.
#[utoipa::path(
    get, path = "/v1/mcp/servers", tag = "mcp", params(McpServerQuery),
    responses(
        (status = 200, body = McpServerList),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn list_servers(
    State(state): State<AppState>,
    caller: Caller,
    Parameters(query): Parameters<McpServerQuery>,
) -> Result<Json<McpServerList>, Problem> {
    let limit = PageQuery::new(query.limit, None).page()?.limit as usize;
    let (tenant, user) = (caller.tenant_id(), &caller.user);
    let own = state.store.mcp_configs(tenant, user).await?;
    let organizations = caller.tenant.servers.values();
    let all = organizations
        .map(|server| McpServerDocument::of_organization(&caller, server))
        .chain(
            own.into_iter()
                .map(|own| McpServerDocument::own(&caller, own.config)),
        );
    let after = |document: &McpServerDocument| match &query.cursor {
        Some(cursor) => document.cursor() > *cursor,
        None => true,
    };
    let mut items: Vec<_> = all.filter(after).take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(McpServerDocument::cursor);
    Ok(Json(McpServerList { items, next_cursor }))
}

/// Shows an MCP server
#[utoipa::path(
    get, path = "/v1/mcp/servers/{id}", tag = "mcp", params(("id" = Uuid, Path)),
    responses(
        (status = 200, body = McpServerDocument, headers(("ETag" = String, description = "Its version, for `If-Match`; of users' own servers only."))),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn read_server(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = Uuid::try_parse(&id).map_err(|_| Problem::not_found())?;
    let own = state
        .store
        .mcp_config(caller.tenant_id(), &caller.user, id)
        .await?;
    if let Some(own) = own {
        return Ok(shown(&caller, own.config));
    }
    let server = of_organization(&caller, id).ok_or_else(Problem::not_found)?;
    Ok(Json(McpServerDocument::of_organization(&caller, server)).into_response())
}

/// Replaces an MCP server of one's own
///
/// With `If-Match`, only if it still has that version; otherwise the last write wins.
#[utoipa::path(
    put, path = "/v1/mcp/servers/{id}", tag = "mcp", request_body = ReplaceMcpServer,
    params(
        ("id" = Uuid, Path),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the version that is replaced."),
    ),
    responses(
        (status = 200, body = McpServerDocument, headers(("ETag" = String, description = "Its new version."))),
        (status = 409, description = "`mcp_server_name_taken`: The name of the MCP server is taken.", body = ProblemDocument),
        (status = 412, description = "`precondition_failed`: It was changed meanwhile.", body = ProblemDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn replace_server(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<ReplaceMcpServer>,
) -> Result<Response, Problem> {
    let id = Uuid::try_parse(&id).map_err(|_| Problem::not_found())?;
    let (tenant, resource) = (caller.tenant_id(), format!("mcp-servers/{id}"));
    let act = state
        .recorder
        .intent(tenant, &context, Action::McpServerUpdate, resource)
        .await?;
    let replaced = replace(&state, &caller, id, &headers, body).await;
    state.user_servers.forget(&caller).await;
    let config = finished(act, replaced).await?;
    Ok(shown(&caller, config))
}

async fn replace(
    state: &AppState,
    caller: &Caller,
    id: Uuid,
    headers: &HeaderMap,
    body: ReplaceMcpServer,
) -> Result<McpConfig, Problem> {
    let given = match body.auth {
        Some(auth) => Some(AuthBody::credentials(auth)?.check()?),
        None => None,
    };
    let tools = agentapi_crds::tenant_config::ToolsConfig::from(body.tools);
    let (tenant, user) = (caller.tenant_id(), &caller.user);
    for _ in 0..ATTEMPTS {
        let found = state.store.mcp_config(tenant, user, id).await?;
        let mut row = found.ok_or_else(|| no_own(caller, id))?;
        may_have_own(caller)?;
        matches_version(headers, row.config.version)?;
        let (shape, change) = match &given {
            Some((shape, secret)) => {
                let sealed = secret
                    .as_ref()
                    .map(|secret| seal(state, caller, id, secret));
                let sealed = sealed.transpose()?;
                row.credentials.clone_from(&sealed);
                (shape.clone(), CredentialsChange::Replace(sealed))
            }
            None => {
                stay_at_home(&row.config.settings, &body.url)?;
                let shape = row.config.settings.credentials.clone();
                (shape, CredentialsChange::Keep)
            }
        };
        let version = row.config.version;
        row.config.settings = Settings::check(body.url.clone(), shape, tools.clone())?;
        is_free_prefix(caller, &row.config.name, &row.config.settings)?;
        can_be_served(state, caller, &row)?;
        let settings = &row.config.settings;
        let changed = state
            .store
            .change_mcp_config(tenant, user, id, version, settings, &change);
        if let Some(changed) = changed.await? {
            return Ok(changed);
        }
    }
    Err(Problem::new(
        ErrorCode::Unavailable,
        "the server is being changed by others all the time",
    ))
}

/// Removes an MCP server of one's own, with its credentials
#[utoipa::path(
    delete, path = "/v1/mcp/servers/{id}", tag = "mcp", params(("id" = Uuid, Path)),
    responses(
        (status = 204),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn remove_server(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = Uuid::try_parse(&id).map_err(|_| Problem::not_found())?;
    let (tenant, resource) = (caller.tenant_id(), format!("mcp-servers/{id}"));
    let act = state
        .recorder
        .intent(tenant, &context, Action::McpServerDelete, resource)
        .await?;
    let removed = state
        .store
        .remove_mcp_config(tenant, &caller.user, id)
        .await;
    state.user_servers.forget(&caller).await;
    let removed = match removed {
        Ok(true) => Ok(()),
        Ok(false) => Err(no_own(&caller, id)),
        Err(error) => Err(error.into()),
    };
    finished(act, removed)
        .await
        .map(|()| StatusCode::NO_CONTENT)
}

fn made(caller: &Caller, config: McpConfig) -> Response {
    let location = [(LOCATION, format!("/v1/mcp/servers/{}", config.id))];
    (StatusCode::CREATED, location, shown(caller, config)).into_response()
}

fn shown(caller: &Caller, config: McpConfig) -> Response {
    let tag = [(ETAG, entity_tag(config.version))];
    let document = McpServerDocument::own(caller, config);
    (tag, Json(document)).into_response()
}
