//! API keys, from their making to their end, over real HTTP.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::serve::testing::{Answer, Running, running};

const KEYS: &str = "/v1/api-keys";

/// Makes a key as somebody; fails unless it is made.
async fn make(gateway: &Running, token: &str, scopes: &[&str]) -> Value {
    let body = json!({ "name": "ci", "scopes": scopes }).to_string();
    let made = gateway.send(Method::POST, KEYS, Some(token), body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    made.json()
}

fn text(document: &Value, member: &str) -> String {
    document[member]
        .as_str()
        .unwrap_or_else(|| panic!("no {member}: {document}"))
        .to_owned()
}

async fn ask(gateway: &Running, token: &str, scopes: &[&str]) -> Answer {
    let body = json!({ "name": "ci", "scopes": scopes }).to_string();
    gateway.send(Method::POST, KEYS, Some(token), body).await
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_for_its_user_until_it_is_revoked() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &[]);
    let made = make(&gateway, &alice, &["sessions:write"]).await;
    let key = text(&made, "key");
    let session = gateway
        .send(Method::POST, "/v1/sessions", Some(&key), "{}")
        .await;
    assert_eq!(session.status, StatusCode::CREATED, "{:?}", session.body);
    assert_eq!(session.json()["user"], "alice");
    let beyond = gateway.get("/v1/sessions", &key).await;
    assert_eq!(beyond.status, StatusCode::FORBIDDEN, "{:?}", beyond.body);

    let path = format!("{KEYS}/{}", text(&made, "id"));
    let revoked = gateway.send(Method::DELETE, &path, Some(&alice), "").await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    let refused = gateway
        .send(Method::POST, "/v1/sessions", Some(&key), "{}")
        .await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_is_shown_once() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &[]);
    let made = make(&gateway, &alice, &["mcp"]).await;
    let listed = gateway.get(KEYS, &alice).await;
    let (listed, key) = (listed.json(), text(&made, "key"));
    assert_eq!(listed["items"][0]["id"], made["id"]);
    let secret = key.rsplit('_').next().unwrap();
    assert!(!listed.to_string().contains(secret), "{listed}");
}

#[tokio::test]
async fn a_key_cannot_make_list_or_revoke_keys() {
    let gateway = running().await;
    let ada = gateway.token("acme", "ada", &["admin"]);
    let made = make(&gateway, &ada, &["sessions:read", "audit:read"]).await;
    let (key, path) = (text(&made, "key"), format!("{KEYS}/{}", text(&made, "id")));
    for (method, path) in [
        (Method::POST, KEYS),
        (Method::GET, KEYS),
        (Method::DELETE, &path),
    ] {
        let body = json!({ "name": "more", "scopes": ["mcp"] }).to_string();
        let refused = gateway.send(method.clone(), path, Some(&key), body).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{method} {path}");
    }
}

#[tokio::test]
async fn scopes_are_at_most_what_their_maker_may() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &["user"]);
    for (scopes, status) in [
        (&["audit:read"][..], StatusCode::FORBIDDEN),
        (&["sessions:read", "audit:read"], StatusCode::FORBIDDEN),
        (&["api-keys:manage"], StatusCode::BAD_REQUEST),
        (&["everything"], StatusCode::BAD_REQUEST),
        (&[], StatusCode::BAD_REQUEST),
    ] {
        let refused = ask(&gateway, &alice, scopes).await;
        assert_eq!(refused.status, status, "{scopes:?}: {:?}", refused.body);
    }
    let listed = gateway.get(KEYS, &alice).await.json();
    assert_eq!(listed["items"], json!([]), "a refused key was made");
}

#[tokio::test]
async fn an_administrator_sees_and_revokes_everybodys_keys_and_a_user_only_their_own() {
    let gateway = running().await;
    let (alice, bob) = (
        gateway.token("acme", "alice", &[]),
        gateway.token("acme", "bob", &[]),
    );
    let ada = gateway.token("acme", "ada", &["admin"]);
    let made = make(&gateway, &alice, &["mcp"]).await;
    let everybodys = format!("{KEYS}?owner=anyone");
    let refused = gateway.get(&everybodys, &bob).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let seen = gateway.get(&everybodys, &ada).await.json();
    assert_eq!(seen["items"][0]["id"], made["id"], "{seen}");
    let path = format!("{KEYS}/{}", text(&made, "id"));
    let others = gateway.send(Method::DELETE, &path, Some(&bob), "").await;
    assert_eq!(others.status, StatusCode::NOT_FOUND);
    let revoked = gateway.send(Method::DELETE, &path, Some(&ada), "").await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_key_is_its_own_organizations_only() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &[]);
    let key = text(&make(&gateway, &alice, &["mcp"]).await, "key");
    let elsewhere = key.replacen("_acme_", "_globex_", 1);
    for (path, token) in [("/mcp", &elsewhere), ("/o/globex/mcp", &key)] {
        let refused = gateway.send(Method::POST, path, Some(token), "{}").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn the_making_and_the_end_of_a_key_are_on_the_record_and_its_secret_is_not() {
    let gateway = running().await;
    let ada = gateway.token("acme", "ada", &["admin"]);
    let made = make(&gateway, &ada, &["mcp"]).await;
    let path = format!("{KEYS}/{}", text(&made, "id"));
    gateway.send(Method::DELETE, &path, Some(&ada), "").await;
    let record = gateway.get("/v1/audit", &ada).await.json();
    let acts: Vec<_> = record["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            (
                item["action"].as_str().unwrap(),
                item["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        acts,
        [
            ("api_key.revoke", "success"),
            ("api_key.revoke", "intent"),
            ("api_key.create", "success"),
            ("api_key.create", "intent"),
        ]
    );
    let key = text(&made, "key");
    assert!(
        !record.to_string().contains(key.rsplit('_').next().unwrap()),
        "{record}"
    );
}

#[tokio::test]
async fn a_key_ends_within_a_year_and_after_now() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &[]);
    let now = jiff::Timestamp::now();
    for hours in [-1, 0, 367 * 24] {
        let ends = now + jiff::SignedDuration::from_hours(hours);
        let body = json!({ "name": "ci", "scopes": ["mcp"], "expiresAt": ends }).to_string();
        let refused = gateway.send(Method::POST, KEYS, Some(&alice), body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "in {hours} hours");
    }
}

#[tokio::test]
async fn what_a_key_did_is_on_the_record_under_its_id() {
    let gateway = running().await;
    let ada = gateway.token("acme", "ada", &["admin"]);
    let made = make(&gateway, &ada, &["sessions:write"]).await;
    let key = text(&made, "key");
    for token in [&key, &ada] {
        gateway
            .send(Method::POST, "/v1/sessions", Some(token), "{}")
            .await;
    }
    let path = format!("/v1/audit?apiKey={}", text(&made, "id"));
    let record = gateway.get(&path, &ada).await.json();
    let acts: Vec<_> = record["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["action"].as_str(), item["actor"].as_str()))
        .collect();
    let by_key = (Some("session.create"), Some("ada"));
    assert_eq!(acts, [by_key, by_key], "{record}");
    assert_eq!(record["items"][0]["apiKey"], made["id"], "{record}");
}
