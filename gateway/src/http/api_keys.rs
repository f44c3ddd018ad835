//! API keys: made, listed and revoked by people, never by other keys.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::act::finished;
use super::denied::require;
use super::idempotency::{CreateBody, replayed};
use super::page::{List, Owner, PageQuery, Parameters};
use super::problem::ProblemDocument;
use super::{AppState, ErrorCode, Problem, RequestContext};
use crate::auth::{Caller, NewApiKey};
use crate::domain::access::Right;
use crate::domain::audit::{Action, Outcome};
use crate::store::{ApiKey, Created, HashedApiKey};

/// Most live keys of one user.
const MOST: u32 = 50;
/// Longest name, in bytes.
const MAX_NAME: usize = 128;
/// How long a key lives that is made without an end.
const DEFAULT_LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long a key may live.
const MAX_LIFETIME: SignedDuration = SignedDuration::from_hours(366 * 24);

/// An API key, without its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiKeyDocument {
    id: Uuid,
    organization: String,
    /// Whom it acts as.
    user: String,
    name: String,
    /// What it may do.
    #[schema(example = json!(["sessions:read", "mcp"]))]
    scopes: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// The key itself. Only in the answer that made it: it is shown once, and kept nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "aak_acme_019…_5f…")]
    key: Option<String>,
}

/// What a key is made from.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateApiKey {
    /// What to call it.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// What it may do, at most what its maker may.
    #[schema(min_items = 1, example = json!(["sessions:read", "mcp"]))]
    scopes: Vec<String>,
    /// When it ends: at most 366 days from now; 90 days if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Which keys are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ApiKeyQuery {
    /// Whose: `me` (the default), or `anyone`, which needs the right `api-keys:administer`.
    #[serde(default)]
    #[param(inline)]
    owner: Owner,
    /// Most keys returned, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<Uuid>,
}

/// Makes an API key
///
/// The key is in this answer and in no other. A key cannot make keys.
#[utoipa::path(
    post, path = "/v1/api-keys", tag = "governance", request_body = CreateApiKey,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes one key however often it is sent; a repeated answer has no `key`.")),
    responses(
        (status = 201, body = ApiKeyDocument),
        (status = 409, description = "`api_key_limit`: Too many API keys.", body = ProblemDocument),
        (status = 422, description = "`idempotency_key_reused`: The idempotency key belongs to another request.", body = ProblemDocument),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn create_key(
    State(state): State<AppState>,
    caller: Caller,
    context: RequestContext,
    body: CreateBody<CreateApiKey>,
) -> Result<Response, Problem> {
    let wanted = Wanted::check(body.value)?;
    for scope in &wanted.scopes {
        require(&state, &caller, &context, *scope, "api-keys").await?;
    }
    let secret = NewApiKey::random(&caller.tenant.config.organization, caller.tenant_id())
        .map_err(|_| Problem::new(ErrorCode::Internal, "there are no random numbers"))?;
    let new = HashedApiKey {
        key: wanted.key(&caller, secret.id),
        hash: secret.hash,
    };
    let resource = format!("api-keys/{}", secret.id);
    let act = state
        .recorder
        .intent(
            caller.tenant_id(),
            &context.0,
            Action::ApiKeyCreate,
            resource,
        )
        .await?;
    let once = body.once.as_ref();
    let created = state
        .store
        .create_api_key(caller.tenant_id(), new, MOST, once)
        .await;
    match created.map_err(Problem::from) {
        Ok(Created::Now(key)) => {
            act.finish(Outcome::Success, None).await?;
            Ok(made(
                &caller,
                key,
                Some(secret.text.expose_secret().to_owned()),
            ))
        }
        Ok(Created::Before(key)) => {
            act.finish(Outcome::Success, Some("replayed")).await?;
            Ok(replayed(made(&caller, key, None)))
        }
        Err(problem) => finished(act, Err(problem)).await,
    }
}

/// Lists API keys
#[utoipa::path(
    get, path = "/v1/api-keys", tag = "governance", params(ApiKeyQuery),
    responses(
        (status = 200, body = List<ApiKeyDocument>),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn list_keys(
    State(state): State<AppState>,
    caller: Caller,
    context: RequestContext,
    Parameters(query): Parameters<ApiKeyQuery>,
) -> Result<Json<List<ApiKeyDocument>>, Problem> {
    let user = match query.owner {
        Owner::Me => Some(&*caller.user),
        Owner::Anyone => {
            require(
                &state,
                &caller,
                &context,
                Right::ApiKeysAdminister,
                "api-keys",
            )
            .await?;
            None
        }
    };
    let page = PageQuery::new(query.limit, query.cursor).page()?;
    let page = state
        .store
        .list_api_keys(caller.tenant_id(), user, page)
        .await?;
    Ok(Json(List::of(page, |key| document(&caller, key, None))))
}

/// Revokes an API key
///
/// One's own; with the right `api-keys:administer` anybody's in the
/// organization. It ends on every replica within seconds.
#[utoipa::path(
    delete, path = "/v1/api-keys/{id}", tag = "governance", params(("id" = Uuid, Path)),
    responses(
        (status = 204),
        (status = "4XX", body = ProblemDocument), (status = "5XX", body = ProblemDocument),
    )
)]
pub(super) async fn revoke_key(
    State(state): State<AppState>,
    caller: Caller,
    RequestContext(context): RequestContext,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = Uuid::try_parse(&id).map_err(|_| Problem::not_found())?;
    let user = (!caller.may(Right::ApiKeysAdminister)).then_some(&*caller.user);
    let (tenant, resource) = (caller.tenant_id(), format!("api-keys/{id}"));
    let act = state
        .recorder
        .intent(tenant, &context, Action::ApiKeyRevoke, resource)
        .await?;
    let revoked = state.store.revoke_api_key(tenant, user, id).await;
    state.authenticator.forget_api_key(tenant, id).await;
    let revoked = revoked
        .map_err(Problem::from)
        .and_then(|revoked| revoked.then_some(()).ok_or_else(Problem::not_found));
    finished(act, revoked)
        .await
        .map(|()| StatusCode::NO_CONTENT)
}

/// A checked request.
struct Wanted {
    name: String,
    scopes: Vec<Right>,
    expires_at: Timestamp,
}

impl Wanted {
    fn check(body: CreateApiKey) -> Result<Self, Problem> {
        let invalid = |detail: String| Err(Problem::new(ErrorCode::InvalidRequest, detail));
        let name = body.name;
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return invalid(format!(
                "name must have 1 to {MAX_NAME} bytes without control characters"
            ));
        }
        let mut scopes = Vec::new();
        for scope in &body.scopes {
            match scope.parse() {
                Ok(right) if !Right::is_grantable(right) => {
                    return invalid(format!("no API key may have the scope {right}"));
                }
                Ok(right) if scopes.contains(&right) => {}
                Ok(right) => scopes.push(right),
                Err(unknown) => return invalid(format!("scopes: {unknown}")),
            }
        }
        if scopes.is_empty() {
            return invalid("scopes must name at least one right".to_owned());
        }
        let now = Timestamp::now();
        let expires_at = body.expires_at.unwrap_or(now + DEFAULT_LIFETIME);
        if expires_at <= now || expires_at > now + MAX_LIFETIME {
            return invalid("expiresAt must lie within the next 366 days".to_owned());
        }
        Ok(Self {
            name,
            scopes,
            expires_at,
        })
    }

    fn key(self, caller: &Caller, id: Uuid) -> ApiKey {
        ApiKey {
            id,
            user: caller.user.to_string(),
            name: self.name,
            roles: caller.roles.to_vec(),
            scopes: self.scopes.iter().map(Right::to_string).collect(),
            created_at: microseconds(Timestamp::now()),
            expires_at: microseconds(self.expires_at),
        }
    }
}

/// Times are kept to the microsecond: what is answered is what is kept.
fn microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

fn made(caller: &Caller, key: ApiKey, secret: Option<String>) -> Response {
    let document = document(caller, key, secret);
    let location = [(LOCATION, format!("/v1/api-keys/{}", document.id))];
    (StatusCode::CREATED, location, Json(document)).into_response()
}

fn document(caller: &Caller, key: ApiKey, secret: Option<String>) -> ApiKeyDocument {
    ApiKeyDocument {
        id: key.id,
        organization: caller.tenant.config.organization.clone(),
        user: key.user,
        name: key.name,
        scopes: key.scopes,
        created_at: key.created_at,
        expires_at: key.expires_at,
        key: secret,
    }
}
