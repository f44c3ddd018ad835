//! Agent sessions.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::act::finished;
use super::body::JsonBody;
use super::denied::require;
use super::idempotency::{CreateBody, replayed};
use super::page::{List, Owner, PageQuery, Parameters};
use super::problem::ProblemDocument;
use super::{AppState, ErrorCode, Problem, RequestContext};
use crate::auth::Caller;
use crate::domain::access::Right;
use crate::domain::audit::{Action, Outcome};
use crate::store::{Created, NewSession, Session, SessionRole};

const DEFAULT_WORKSPACE: &str = "default";
/// Longest workspace, in bytes.
const MAX_WORKSPACE: usize = 128;
/// Largest metadata, in bytes of JSON.
const MAX_METADATA: usize = 16 * 1024;

/// An agent session.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionDocument {
    id: Uuid,
    organization: String,
    user: String,
    /// Unit of isolation below the user.
    workspace: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ends in any case; without use it ends earlier.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// MCP endpoint of the session.
    mcp_url: String,
    /// What the caller is to it: `owner`, `participant` or `viewer`; absent for
    /// an administrator who only inspects it.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[schema(value_type = Object)]
    metadata: Value,
}

/// What a session is created from.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateSession {
    /// Unit of isolation below the user; `default` if absent.
    #[schema(max_length = 128)]
    workspace: Option<String>,
    /// Whatever the client wants to remember; at most 16 KiB of JSON.
    #[schema(value_type = Object)]
    metadata: Option<Map<String, Value>>,
}

/// What of a session can be changed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UpdateSession {
    /// Replaces the metadata.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// Creates a session
#[utoipa::path(
    post, path = "/v1/sessions", tag = "sessions", request_body = CreateSession,
    params(("Idempotency-Key" = Option<String>, Header, description = "Creates one session however often it is sent.")),
    responses(
        (status = 201, body = SessionDocument),
        (status = 409, description = "`session_limit`: Too many open sessions.", body = ProblemDocument),
        (status = 422, description = "`idempotency_key_reused`: The idempotency key belongs to another request.", body = ProblemDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn create(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    body: CreateBody<CreateSession>,
) -> Result<Response, Problem> {
    let new = new_session(&caller, body.value)?;
    let (tenant, resource) = (caller.tenant_id(), format!("workspace/{}", new.workspace));
    let act = state
        .recorder
        .intent(tenant, &context, Action::SessionCreate, resource)
        .await?;
    let created = match &body.once {
        Some(once) => state.store.create_session_once(tenant, new, once).await,
        None => state
            .store
            .create_session(tenant, new)
            .await
            .map(Created::Now),
    };
    let created = created.map_err(Problem::from);
    count(&state, "create", &created);
    match created {
        Ok(Created::Now(session)) => {
            act.finish(Outcome::Success, None).await?;
            Ok(made(&state, &caller, session))
        }
        Ok(Created::Before(session)) => {
            act.finish(Outcome::Success, Some("replayed")).await?;
            Ok(replayed(made(&state, &caller, session)))
        }
        Err(problem) => finished(act, Err(problem)).await,
    }
}

fn made(state: &AppState, caller: &Caller, session: Session) -> Response {
    let document = document(state, caller, session);
    let location = [(LOCATION, format!("/v1/sessions/{}", document.id))];
    (StatusCode::CREATED, location, Json(document)).into_response()
}

/// Which sessions are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionQuery {
    /// Whose: `me` (the default, with those shared with the caller), or `anyone`,
    /// which needs the right `sessions:inspect`.
    #[serde(default)]
    #[param(inline)]
    owner: Owner,
    /// Most sessions returned, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<Uuid>,
}

/// Lists sessions
#[utoipa::path(
    get, path = "/v1/sessions", tag = "sessions", params(SessionQuery),
    responses(
        (status = 200, body = List<SessionDocument>),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    caller: Caller,
    context: RequestContext,
    Parameters(query): Parameters<SessionQuery>,
) -> Result<Json<List<SessionDocument>>, Problem> {
    let page = PageQuery::new(query.limit, query.cursor).page()?;
    let (tenant, store) = (caller.tenant_id(), &state.store);
    let page = match query.owner {
        Owner::Me => store.list_sessions(tenant, &caller.user, page).await?,
        Owner::Anyone => {
            require(
                &state,
                &caller,
                &context,
                Right::SessionsInspect,
                "sessions",
            )
            .await?;
            store.list_all_sessions(tenant, page).await?
        }
    };
    Ok(Json(List::of(page, |session| {
        document(&state, &caller, session)
    })))
}

/// Reads a session
#[utoipa::path(
    get, path = "/v1/sessions/{id}", tag = "sessions", params(("id" = Uuid, Path)),
    responses(
        (status = 200, body = SessionDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn read(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<SessionDocument>, Problem> {
    let (tenant, id) = (caller.tenant_id(), session_id(&id)?);
    let mut session = state.store.touch_session(tenant, &caller.user, id).await?;
    if session.is_none() && caller.may(Right::SessionsInspect) {
        session = state.store.inspect_session(tenant, id).await?;
    }
    let session = session.ok_or_else(Problem::not_found)?;
    Ok(Json(document(&state, &caller, session)))
}

/// Replaces the metadata of a session
#[utoipa::path(
    patch, path = "/v1/sessions/{id}", tag = "sessions", params(("id" = Uuid, Path)), request_body = UpdateSession,
    responses(
        (status = 200, body = SessionDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn update(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<UpdateSession>,
) -> Result<Json<SessionDocument>, Problem> {
    let id = session_id(&id)?;
    let metadata = bounded(body.metadata)?;
    let act = state
        .recorder
        .intent(
            caller.tenant_id(),
            &context,
            Action::SessionUpdate,
            id.to_string(),
        )
        .await?;
    let changed = change(&state, &caller, id, &metadata).await;
    count(&state, "update", &changed);
    finished(act, changed)
        .await
        .map(|session| Json(document(&state, &caller, session)))
}

/// Ends a session
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", tag = "sessions", params(("id" = Uuid, Path)),
    responses(
        (status = 204),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn end(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = session_id(&id)?;
    let act = state
        .recorder
        .intent(
            caller.tenant_id(),
            &context,
            Action::SessionDelete,
            id.to_string(),
        )
        .await?;
    let ended = finish(&state, &caller, id).await;
    count(&state, "delete", &ended);
    finished(act, ended).await.map(|()| StatusCode::NO_CONTENT)
}

async fn change(
    state: &AppState,
    caller: &Caller,
    id: Uuid,
    metadata: &Value,
) -> Result<Session, Problem> {
    owned(state, caller, id).await?;
    let (tenant, store) = (caller.tenant_id(), &state.store);
    let changed = store.set_session_metadata(tenant, &caller.user, id, metadata);
    changed.await?.ok_or_else(Problem::not_found)
}

async fn finish(state: &AppState, caller: &Caller, id: Uuid) -> Result<(), Problem> {
    owned(state, caller, id).await?;
    let (tenant, store) = (caller.tenant_id(), &state.store);
    let ended = store.end_session(tenant, &caller.user, id).await?;
    ended.then_some(()).ok_or_else(Problem::not_found)
}

/// Refuses what only the owner may, by its own answer where the caller shares
/// the session, and like what does not exist otherwise.
pub(super) async fn owned(state: &AppState, caller: &Caller, id: Uuid) -> Result<(), Problem> {
    let session = state
        .store
        .touch_session(caller.tenant_id(), &caller.user, id);
    match session.await?.and_then(|session| session.role) {
        None => Err(Problem::not_found()),
        Some(SessionRole::Owner) => Ok(()),
        Some(role) => Err(Problem::new(
            ErrorCode::Forbidden,
            format!(
                "only the owner of a session may do this: the caller is a {}",
                role.name()
            ),
        )),
    }
}

fn count<T>(state: &AppState, operation: &'static str, result: &Result<T, Problem>) {
    let outcome = result
        .as_ref()
        .map_or_else(|problem| problem.code().name(), |_| "success");
    state.metrics.session(operation, outcome);
}

fn new_session(caller: &Caller, body: CreateSession) -> Result<NewSession, Problem> {
    let limits = &caller.tenant.config.sessions;
    let lifetime =
        SignedDuration::from_secs(i64::try_from(limits.max_lifetime_seconds).unwrap_or(i64::MAX));
    let expires_at = Timestamp::now().checked_add(lifetime);
    Ok(NewSession {
        user: caller.user.to_string(),
        workspace: workspace(body.workspace)?,
        metadata: bounded(body.metadata.unwrap_or_default())?,
        expires_at: expires_at.unwrap_or(Timestamp::MAX),
        idle_timeout_seconds: limits.idle_timeout_seconds,
        max_per_user: limits.max_per_user,
    })
}

fn workspace(given: Option<String>) -> Result<String, Problem> {
    let workspace = given.unwrap_or_else(|| DEFAULT_WORKSPACE.to_owned());
    let fits = !workspace.is_empty()
        && workspace.len() <= MAX_WORKSPACE
        && !workspace.chars().any(char::is_control);
    if !fits {
        let detail =
            format!("workspace must have 1 to {MAX_WORKSPACE} bytes without control characters");
        return Err(Problem::new(ErrorCode::InvalidRequest, detail));
    }
    Ok(workspace)
}

fn bounded(metadata: Map<String, Value>) -> Result<Value, Problem> {
    let metadata = Value::Object(metadata);
    if metadata.to_string().len() > MAX_METADATA {
        return Err(Problem::new(
            ErrorCode::InvalidRequest,
            format!("metadata is larger than {MAX_METADATA} bytes"),
        ));
    }
    Ok(metadata)
}

/// An id that is none is as unknown as any other.
pub(super) fn session_id(id: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(id).map_err(|_| Problem::not_found())
}

fn document(state: &AppState, caller: &Caller, session: Session) -> SessionDocument {
    SessionDocument {
        id: session.id,
        organization: caller.tenant.config.organization.clone(),
        user: session.user,
        workspace: session.workspace,
        created_at: session.created_at,
        expires_at: session.expires_at,
        role: session.role.map(SessionRole::name),
        mcp_url: format!("{}/v1/sessions/{}/mcp", state.public_url, session.id),
        metadata: session.metadata,
    }
}
