//! An authorization server that consents at once, replaces refresh tokens at each use
//! and counts what it is asked, with an MCP server that takes its tokens.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use url::form_urlencoded;

/// The gateway's registration.
pub const CLIENT_ID: &str = "gateway";
/// Its secret, with characters that HTTP Basic needs encoded (RFC 6749, section 2.3.1).
pub const CLIENT_SECRET: &str = "s3cret:of a test/only+";

/// What the server does otherwise than an honest one.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// Seconds that first access tokens live; an hour if absent.
    pub first_life: Option<u64>,
    /// Members of the discovery document, instead of its own; null leaves one out.
    pub metadata: Option<Value>,
    /// `iss` of authorization responses, instead of its own.
    pub issuer: Option<String>,
    /// Revocations that fail before one succeeds.
    pub failing_revocations: usize,
    /// Refreshes are answered with this status and nothing done.
    pub refresh_status: Option<u16>,
}

#[derive(Default)]
struct Inner {
    behaviour: Behaviour,
    codes: HashMap<String, HashMap<String, String>>,
    access: HashSet<String>,
    refresh: HashSet<String>,
    used: HashSet<String>,
    revoked: Vec<String>,
    refreshes: usize,
    seen: Vec<String>,
    next: usize,
}

#[derive(Clone)]
struct Shared {
    url: Arc<str>,
    inner: Arc<Mutex<Inner>>,
    held: watch::Sender<bool>,
}

/// A running server; it ends when this is dropped.
pub struct AuthorizationServer {
    /// Its issuer.
    pub url: String,
    shared: Shared,
    task: AbortHandle,
}

impl AuthorizationServer {
    /// Starts one on a port of its own.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Shared {
            url: url.as_str().into(),
            inner: Arc::default(),
            held: watch::Sender::new(false),
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .route("/mcp", post(mcp))
            .with_state(shared.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the authorization server ended");
            }
        });
        Ok(Self {
            url,
            shared,
            task: task.abort_handle(),
        })
    }

    /// Changes what it does from now on.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.inner().behaviour);
    }

    /// How many refresh tokens were sent to it.
    pub fn refreshes(&self) -> usize {
        self.shared.inner().refreshes
    }

    /// The tokens that were revoked.
    pub fn tokens_revoked(&self) -> Vec<String> {
        self.shared.inner().revoked.clone()
    }

    /// Tokens that it still accepts: access tokens and refresh tokens.
    pub fn accepted(&self) -> (usize, usize) {
        let inner = self.shared.inner();
        (inner.access.len(), inner.refresh.len())
    }

    /// Every `Authorization` that the MCP server was sent.
    pub fn seen(&self) -> Vec<String> {
        self.shared.inner().seen.clone()
    }

    /// Accepts no access token any more; refresh tokens stay good.
    pub fn forget_access_tokens(&self) {
        self.shared.inner().access.clear();
    }

    /// Accepts no refresh token any more.
    pub fn forget_refresh_tokens(&self) {
        self.shared.inner().refresh.clear();
    }

    /// Holds answers to refreshes back, or lets them go.
    pub fn hold(&self, hold: bool) {
        self.shared.held.send_replace(hold);
    }
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn grant(&mut self, life: u64) -> Value {
        self.next += 1;
        let (access, refresh) = (
            format!("access-{}", self.next),
            format!("refresh-{}", self.next),
        );
        self.access.insert(access.clone());
        self.refresh.insert(refresh.clone());
        json!({ "access_token": access, "refresh_token": refresh, "token_type": "Bearer",
                "expires_in": life, "scope": "read" })
    }
}

async fn discovery(State(shared): State<Shared>) -> Json<Value> {
    let url = &shared.url;
    let mut document = json!({
        "issuer": &**url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "revocation_endpoint": format!("{url}/revoke"),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    let changes = shared.inner().behaviour.metadata.clone();
    if let (Some(document), Some(Value::Object(changes))) = (document.as_object_mut(), changes) {
        document.extend(changes);
        document.retain(|_, value| !value.is_null());
    }
    Json(document)
}

async fn authorize(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let asked = pairs(query.unwrap_or_default().as_bytes());
    let (Some(redirect), Some(state)) = (asked.get("redirect_uri"), asked.get("state")) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut inner = shared.inner();
    inner.next += 1;
    let code = format!("code-{}", inner.next);
    let issuer = inner.behaviour.issuer.clone();
    let issuer = issuer.unwrap_or_else(|| shared.url.to_string());
    let answer = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("code", &code), ("state", state), ("iss", &issuer)])
        .finish();
    let target = format!("{redirect}?{answer}");
    inner.codes.insert(code, asked);
    Redirect::to(&target).into_response()
}

async fn token(State(shared): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let asked = pairs(body.as_bytes());
    let asked = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    if !is_the_client(&headers) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    if asked("grant_type") == "refresh_token" {
        let status = {
            let mut inner = shared.inner();
            inner.refreshes += 1;
            inner.behaviour.refresh_status
        };
        let mut held = shared.held.subscribe();
        if held.wait_for(|held| !held).await.is_err() {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        if let Some(status) = status {
            let status = StatusCode::from_u16(status);
            return status.unwrap_or(StatusCode::BAD_GATEWAY).into_response();
        }
        return refresh(&shared, asked("refresh_token"));
    }
    let mut inner = shared.inner();
    let Some(code) = inner.codes.remove(asked("code")) else {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(asked("code_verifier")));
    let fits = code.get("code_challenge") == Some(&challenge)
        && code.get("code_challenge_method").map(String::as_str) == Some("S256")
        && code.get("redirect_uri").map(String::as_str) == Some(asked("redirect_uri"));
    if !fits {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    let life = inner.behaviour.first_life.unwrap_or(3600);
    Json(inner.grant(life)).into_response()
}

/// A refresh token is good once; a second use ends all tokens (RFC 9700, section 4.14.2).
fn refresh(shared: &Shared, token: &str) -> Response {
    let mut inner = shared.inner();
    if inner.used.contains(token) {
        inner.access.clear();
        inner.refresh.clear();
    }
    if !inner.refresh.remove(token) {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    inner.used.insert(token.to_owned());
    Json(inner.grant(3600)).into_response()
}

async fn revoke(State(shared): State<Shared>, headers: HeaderMap, body: String) -> Response {
    if !is_the_client(&headers) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let mut inner = shared.inner();
    if inner.behaviour.failing_revocations > 0 {
        inner.behaviour.failing_revocations -= 1;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let token = pairs(body.as_bytes()).remove("token").unwrap_or_default();
    inner.access.remove(&token);
    inner.refresh.remove(&token);
    inner.revoked.push(token);
    StatusCode::OK.into_response()
}

async fn mcp(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Json(message): Json<Value>,
) -> Response {
    let authorization = headers.get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok());
    let authorization = authorization.unwrap_or_default().to_owned();
    let token = authorization
        .strip_prefix("Bearer ")
        .unwrap_or_default()
        .to_owned();
    {
        let mut inner = shared.inner();
        inner.seen.push(authorization);
        if !inner.access.contains(&token) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
    }
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => json!({
            "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
            "serverInfo": { "name": "protected", "version": "1" },
        }),
        "tools/list" => {
            json!({ "tools": [{ "name": "whoami", "inputSchema": { "type": "object" } }] })
        }
        "tools/call" => json!({ "content": [{ "type": "text", "text": token }] }),
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    Json(json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).into_response()
}

fn is_the_client(headers: &HeaderMap) -> bool {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(CLIENT_ID), encoded(CLIENT_SECRET));
    let expected = format!("Basic {}", STANDARD.encode(pair));
    headers
        .get(header::AUTHORIZATION)
        .is_some_and(|found| found == expected.as_str())
}

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

fn pairs(text: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}
