//! Creates that are sent more than once, over real HTTP.

use futures::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use crate::serve::testing::{Answer, Running, running};

async fn create(gateway: &Running, token: &str, path: &str, key: &str, body: &Value) -> Answer {
    let header = ("idempotency-key", key);
    gateway.post_with(path, token, header, body).await
}

async fn sessions(gateway: &Running, token: &str) -> usize {
    let listed = gateway.get("/v1/sessions", token).await.json();
    listed["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_repeated_create_gets_the_same_answer_and_creates_nothing() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &[]);
    let body = json!({ "metadata": { "purpose": "once" } });
    let first = create(&gateway, &alice, "/v1/sessions", "k-1", &body).await;
    let again = create(&gateway, &alice, "/v1/sessions", "\"k-1\"", &body).await;
    assert_eq!(first.status, StatusCode::CREATED, "{:?}", first.body);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.headers["location"], first.headers["location"]);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(sessions(&gateway, &alice).await, 1);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &[]);
    create(&gateway, &alice, "/v1/sessions", "k", &json!({})).await;
    let other = create(
        &gateway,
        &alice,
        "/v1/sessions",
        "k",
        &json!({ "workspace": "w" }),
    )
    .await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.problem()["code"], "idempotency_key_reused");
}

#[tokio::test]
async fn requests_at_the_same_time_create_one() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &[]);
    let body = json!({});
    let all = (0..8).map(|_| create(&gateway, &alice, "/v1/sessions", "k", &body));
    let answers = join_all(all).await;
    for answer in &answers {
        assert_eq!(answer.body, answers[0].body, "{:?}", answer.status);
    }
    assert_eq!(sessions(&gateway, &alice).await, 1);
}

#[tokio::test]
async fn a_key_counts_for_its_user_organization_and_operation_alone() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &[]);
    let first = create(&gateway, &alice, "/v1/sessions", "k", &json!({})).await;
    for (organization, user) in [("acme", "bob"), ("globex", "alice")] {
        let token = gateway.token(organization, user, &[]);
        let other = create(&gateway, &token, "/v1/sessions", "k", &json!({})).await;
        assert_eq!(
            other.status,
            StatusCode::CREATED,
            "{user} of {organization}"
        );
        assert_ne!(other.json()["id"], first.json()["id"]);
    }
    let body = json!({ "name": "ci", "scopes": ["mcp"] });
    let another = create(&gateway, &alice, "/v1/api-keys", "k", &body).await;
    assert_eq!(another.status, StatusCode::CREATED, "{:?}", another.body);
}

#[tokio::test]
async fn a_repeated_answer_does_not_repeat_a_secret() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &[]);
    let body = json!({ "name": "ci", "scopes": ["mcp"] });
    let first = create(&gateway, &alice, "/v1/api-keys", "k", &body)
        .await
        .json();
    let again = create(&gateway, &alice, "/v1/api-keys", "k", &body).await;
    assert_eq!(again.status, StatusCode::CREATED, "{:?}", again.body);
    let mut expected = first.clone();
    expected
        .as_object_mut()
        .unwrap()
        .remove("key")
        .expect("the first answer has the key");
    assert_eq!(again.json(), expected);
}

#[tokio::test]
async fn a_create_that_was_refused_may_be_tried_again_under_its_key() {
    let gateway = running().await;
    let alice = gateway.token("acme", "alice", &[]);
    let mut open = Vec::new();
    for _ in 0..3 {
        let token = Some(alice.as_str());
        let made = gateway
            .send(http::Method::POST, "/v1/sessions", token, "{}")
            .await;
        open.push(made.json()["id"].as_str().unwrap().to_owned());
    }
    let refused = create(&gateway, &alice, "/v1/sessions", "k", &json!({})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let path = format!("/v1/sessions/{}", open[0]);
    gateway
        .send(http::Method::DELETE, &path, Some(&alice), "")
        .await;
    let made = create(&gateway, &alice, "/v1/sessions", "k", &json!({})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
}
