//! Every route against everybody who must not pass, made from the table of routes.
//!
//! Whoever is refused must not learn from the answer whether what they asked for
//! exists: status, body and headers are compared with those for an id that was
//! never given out, and so is what was asked of the database meanwhile, which a
//! clock could tell. A new route needs nothing here unless it has a body or a new
//! kind of id; then the test says so.

use std::sync::Arc;

use agentapi_crds::tenant_config::{
    AuthorizationServer, CredentialScope, OAuthConfig, ServerConfig,
};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::routes::{Access, Endpoint, TABLE, method_name};
use crate::auth::NewApiKey;
use crate::domain::access::{Right, Rights};
use crate::events::testing::dead_letter;
use crate::serve::testing::{Running, running_on};
use crate::store::{Calls, Store, TenantId, recorded};
use crate::tenants::test_config::{config, server};

/// A session, an API key and a server of acme, all of alice's, dead letters of
/// acme, and ids of nothing.
struct Setting {
    gateway: Running,
    store: Arc<dyn Store>,
    calls: Calls,
    alice: String,
}

/// What a path's parameters are filled with.
struct Ids {
    session: String,
    api_key: String,
    mcp_server: String,
    dead_letter: String,
    server: String,
    organization: String,
}

/// All that a client can tell answers apart by, and what took the time.
#[derive(Debug, PartialEq)]
struct Seen {
    status: StatusCode,
    headers: Vec<(String, String)>,
    body: String,
    calls: Vec<String>,
}

impl Setting {
    async fn new() -> Self {
        let (store, calls) = recorded().await;
        let gateway = running_on(store.clone(), &[]).await;
        let mut acme = config("acme");
        acme.sessions.max_per_user = 10_000;
        acme.servers = vec![ServerConfig {
            oauth: Some(OAuthConfig {
                authorization_server: AuthorizationServer::GitHub,
                client: None,
                scopes: vec![],
                resource: None,
            }),
            credential_scope: CredentialScope::User,
            ..server("notes")
        }];
        acme.user_servers = true;
        gateway.installer.install(acme).unwrap();
        let alice = gateway.token("acme", "alice", &["user", "admin", "auditor"]);
        Self {
            gateway,
            store,
            calls,
            alice,
        }
    }

    /// Objects of alice's that exist, as far as the route asks for them; new ones
    /// each time, because some routes end them.
    async fn existing(&self, endpoint: &Endpoint) -> Ids {
        let made = |path: &'static str, body: Value| async move {
            let (token, body) = (Some(self.alice.as_str()), body.to_string());
            let made = self
                .gateway
                .send(http::Method::POST, path, token, body)
                .await;
            assert_eq!(made.status, StatusCode::CREATED, "{path}: {:?}", made.body);
            made.json()["id"].as_str().unwrap().to_owned()
        };
        let mut ids = Ids {
            server: "notes".to_owned(),
            organization: "acme".to_owned(),
            ..unknown()
        };
        if endpoint.path.contains("/sessions/{id}") {
            ids.session = made("/v1/sessions", json!({})).await;
        }
        if endpoint.path.contains("/api-keys/{id}") {
            let body = json!({ "name": "k", "scopes": ["mcp"] });
            ids.api_key = made("/v1/api-keys", body).await;
        }
        if endpoint.path.contains("/mcp/servers/{id}") {
            // As many as are asked for, and no more than a user may have at one time.
            let name = format!("own-{}", uuid::Uuid::new_v4().simple());
            let body = json!({ "name": name, "url": "https://own.example/mcp" });
            ids.mcp_server = made("/v1/mcp/servers", body).await;
        }
        if endpoint.path.contains("/dead-letters/{id}") {
            let acme = TenantId(config("acme").tenant_id);
            ids.dead_letter = dead_letter(&*self.store, acme).await.to_string();
        }
        ids
    }

    /// A key of alice's with one scope; returns its id and text.
    async fn key(&self, scope: Right) -> (String, String) {
        let body = json!({ "name": "k", "scopes": [scope.name()] }).to_string();
        let token = Some(self.alice.as_str());
        let made = self
            .gateway
            .send(http::Method::POST, "/v1/api-keys", token, body)
            .await;
        let made = made.json();
        let text = |member: &str| made[member].as_str().unwrap().to_owned();
        (text("id"), text("key"))
    }

    /// One request; what is asked for is not part of what is seen.
    async fn ask(&self, endpoint: &Endpoint, ids: &Ids, token: &str) -> Seen {
        let path = path(endpoint, ids);
        let uri = format!("http://{}{path}", self.gateway.addresses.public);
        let request = Request::builder()
            .method(method_name(&endpoint.method))
            .uri(uri)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(Full::new(Bytes::from(body(endpoint))));
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        self.calls.take();
        let answer = client.request(request.unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let streams = parts
            .headers
            .get("content-type")
            .is_some_and(|kind| kind == "text/event-stream");
        let body = match streams {
            true => Bytes::new(),
            false => body.collect().await.unwrap().to_bytes(),
        };
        let calls = self.calls.take();
        let id = parts.headers["x-request-id"].to_str().unwrap().to_owned();
        let hide = |text: &str| {
            let values = [
                &id,
                &ids.session,
                &ids.api_key,
                &ids.mcp_server,
                &ids.dead_letter,
                &ids.server,
                &ids.organization,
            ];
            values.iter().fold(text.to_owned(), |text, value| {
                text.replace(value.as_str(), "ID")
            })
        };
        Seen {
            status: parts.status,
            headers: visible(&parts.headers)
                .map(|(name, value)| (name, hide(&value)))
                .collect(),
            body: hide(std::str::from_utf8(&body).unwrap()),
            calls,
        }
    }
}

/// Ids that were never given out, as long as real ones.
fn unknown() -> Ids {
    Ids {
        session: uuid::Uuid::now_v7().to_string(),
        api_key: uuid::Uuid::now_v7().to_string(),
        mcp_server: uuid::Uuid::now_v7().to_string(),
        dead_letter: uuid::Uuid::now_v7().to_string(),
        server: "nopes".to_owned(),
        organization: "initech".to_owned(),
    }
}

/// Header fields, without those that differ from one request to the next anyway.
fn visible(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    const VARYING: [&str; 5] = [
        "date",
        "x-request-id",
        "content-length",
        "ratelimit-remaining",
        "ratelimit-reset",
    ];
    let mut fields: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !VARYING.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    fields.sort();
    fields.into_iter()
}

/// The path with its parameters filled.
fn path(endpoint: &Endpoint, ids: &Ids) -> String {
    let segments = endpoint.path.split('/').collect::<Vec<_>>();
    let filled = segments
        .iter()
        .enumerate()
        .map(|(place, segment)| match *segment {
            "{id}" => match segments[place - 1] {
                "sessions" => ids.session.clone(),
                "api-keys" => ids.api_key.clone(),
                "servers" => ids.mcp_server.clone(),
                "dead-letters" => ids.dead_letter.clone(),
                other => {
                    panic!("say what an {{id}} of {other} is, so that it can be somebody else's")
                }
            },
            "{server}" => ids.server.clone(),
            "{organization}" => ids.organization.clone(),
            "{user}" => "carol".to_owned(),
            other if other.starts_with('{') => panic!("{other} is a new kind of id: fill it here"),
            other => other.to_owned(),
        });
    filled.collect::<Vec<_>>().join("/")
}

/// A body that the route takes: a refusal must not hang on a body that is wrong.
fn body(endpoint: &Endpoint) -> String {
    let value = match (method_name(&endpoint.method), endpoint.path) {
        ("GET" | "DELETE", _) | ("POST", "/v1/dead-letters/{id}/replay") => return String::new(),
        ("POST", "/v1/sessions" | "/v1/prompts/preview") => json!({}),
        ("PATCH", "/v1/sessions/{id}") => json!({ "metadata": {} }),
        ("PUT", "/v1/sessions/{id}/members/{user}") => json!({ "role": "viewer" }),
        ("POST", path) if path.starts_with("/v1/oauth/{server}/") => return String::new(),
        ("POST", "/v1/users/{user}/offboard") => return String::new(),
        ("POST", "/v1/audit/erasures") => json!({ "actor": "somebody" }),
        ("POST", "/v1/api-keys") => json!({ "name": "k", "scopes": ["mcp"] }),
        ("POST", "/v1/mcp/servers") => json!({ "name": "new", "url": "https://new.example/mcp" }),
        ("PUT", "/v1/mcp/servers/{id}") => json!({ "url": "https://other.example/mcp" }),
        ("POST", "/v1/mcp/servers/{id}/test") => return String::new(),
        ("POST", path) if path.ends_with("/mcp") || path.ends_with("/mcp/{server}") => json!({
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {
                "protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": { "name": "matrix", "version": "1" },
            },
        }),
        (method, path) => panic!("say which body {method} {path} takes"),
    };
    value.to_string()
}

/// The routes that need a right, with the right.
fn guarded() -> impl Iterator<Item = (&'static Endpoint, Right, String)> {
    TABLE.iter().filter_map(|endpoint| match endpoint.access {
        Access::Public | Access::Browser => None,
        Access::Needs(right, _) => {
            let name = format!("{} {}", method_name(&endpoint.method), endpoint.path);
            Some((endpoint, right, name))
        }
    })
}

/// Asks for what exists and for what does not; both must be refused, and alike.
async fn refused_alike(
    setting: &Setting,
    endpoint: &Endpoint,
    token: &str,
    who: &str,
    status: &[StatusCode],
) {
    let name = format!(
        "{} {} by {who}",
        method_name(&endpoint.method),
        endpoint.path
    );
    let existing = setting.existing(endpoint).await;
    // Whatever is remembered of a caller is remembered before both.
    setting.ask(endpoint, &unknown(), token).await;
    let found = setting.ask(endpoint, &existing, token).await;
    let reference = setting.ask(endpoint, &unknown(), token).await;
    assert!(status.contains(&found.status), "{name}: {found:?}");
    assert_eq!(
        found, reference,
        "{name}: the answer, or the time it took, tells whether it exists"
    );
}

const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;

#[tokio::test]
async fn the_owner_of_what_is_asked_for_passes_everywhere() {
    let setting = Setting::new().await;
    for (endpoint, _, name) in guarded() {
        let existing = setting.existing(endpoint).await;
        let seen = setting.ask(endpoint, &existing, &setting.alice).await;
        let looks = endpoint.path.contains("{id}") && !offers_no_stream(endpoint);
        assert!(
            !looks || !seen.calls.is_empty(),
            "{name}: no call of the store was seen, so that none can be compared"
        );
        // carol is no member yet: there is nobody to take out.
        if endpoint.path.contains("{user}") && method_name(&endpoint.method) == "DELETE" {
            continue;
        }
        assert!(
            ![NOT_FOUND, UNAUTHORIZED, FORBIDDEN].contains(&seen.status),
            "{name}: a refusal of its owner would make the other tests mean nothing: {seen:?}"
        );
    }
}

#[tokio::test]
async fn ids_of_another_organization_and_of_another_user_are_like_unknown_ones() {
    let setting = Setting::new().await;
    let everything = ["user", "admin", "auditor"];
    let callers = [
        (
            "a user of the same name in another organization",
            "globex",
            "alice",
            &everything[..1],
        ),
        (
            "an administrator of another organization",
            "globex",
            "mallory",
            &everything[..],
        ),
        ("another user", "acme", "bob", &everything[..1]),
    ];
    for (who, organization, user, roles) in callers {
        let token = setting.gateway.token(organization, user, roles);
        for (endpoint, right, name) in
            guarded().filter(|(endpoint, ..)| endpoint.path.contains('{'))
        {
            // Servers and the organization itself are everybody's in it.
            let personal = endpoint.path.contains("{id}");
            // Users are names within the caller's own organization, whoever asks.
            if endpoint.path.starts_with("/v1/users/") {
                continue;
            }
            let everybodys = organization == "acme" && !personal;
            // Whoever lacks the role is another test's.
            if everybodys || !roles_hold(roles, right) || offers_no_stream(endpoint) {
                continue;
            }
            refused_alike(
                &setting,
                endpoint,
                &token,
                &format!("{who} ({name})"),
                &[NOT_FOUND, UNAUTHORIZED],
            )
            .await;
        }
    }
}

/// MCP endpoints offer no stream to GET, to anybody and whatever is asked for.
fn offers_no_stream(endpoint: &Endpoint) -> bool {
    let is_mcp = ["/mcp", "/mcp/{server}"]
        .iter()
        .any(|end| endpoint.path.ends_with(end));
    method_name(&endpoint.method) == "GET" && is_mcp
}

fn roles_hold(roles: &[&str], right: Right) -> bool {
    let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
    Rights::of_roles(&roles).contain(right)
}

#[tokio::test]
async fn a_role_below_the_needed_one_is_refused_whatever_is_asked_for() {
    let setting = Setting::new().await;
    let bob = setting.gateway.token("acme", "bob", &["user"]);
    for (endpoint, ..) in guarded().filter(|(_, right, _)| !roles_hold(&["user"], *right)) {
        refused_alike(&setting, endpoint, &bob, "a user", &[FORBIDDEN]).await;
    }
}

#[tokio::test]
async fn a_key_without_the_scope_is_refused_whatever_is_asked_for() {
    let setting = Setting::new().await;
    for (endpoint, right, _) in guarded() {
        let other = Right::ALL
            .into_iter()
            .find(|other| other.is_grantable() && *other != right);
        let (_, key) = setting.key(other.unwrap()).await;
        // Another organization's endpoint is another question; this is about one's own.
        if endpoint.path.contains("{organization}") {
            let seen = setting
                .ask(endpoint, &setting.existing(endpoint).await, &key)
                .await;
            assert_eq!(seen.status, FORBIDDEN, "{}: {seen:?}", endpoint.path);
            continue;
        }
        refused_alike(
            &setting,
            endpoint,
            &key,
            "a key of another scope",
            &[FORBIDDEN],
        )
        .await;
    }
}

#[tokio::test]
async fn a_revoked_key_is_like_one_that_never_was() {
    let setting = Setting::new().await;
    for (endpoint, right, name) in guarded() {
        let scope = if right.is_grantable() {
            right
        } else {
            Right::Mcp
        };
        let (id, revoked) = setting.key(scope).await;
        let own = format!("/v1/api-keys/{id}");
        let token = Some(setting.alice.as_str());
        setting
            .gateway
            .send(http::Method::DELETE, &own, token, "")
            .await;
        let tenant = TenantId(config("acme").tenant_id);
        let never = NewApiKey::random("acme", tenant).unwrap().text;
        let existing = setting.existing(endpoint).await;
        let found = setting.ask(endpoint, &existing, &revoked).await;
        let never = secrecy::ExposeSecret::expose_secret(&never);
        let reference = setting.ask(endpoint, &existing, never).await;
        assert_eq!(found.status, UNAUTHORIZED, "{name}");
        assert_eq!(
            found, reference,
            "{name}: the answer, or the time it took, tells that the key was one"
        );
    }
}

#[tokio::test]
async fn whoever_sends_no_token_learns_nothing() {
    let setting = Setting::new().await;
    for (endpoint, ..) in guarded() {
        refused_alike(&setting, endpoint, "x", "nobody", &[UNAUTHORIZED]).await;
    }
}
