//! Users' own MCP servers, from their making to their end, over real HTTP.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::serve::testing::{Answer, Running, running, running_with};
use crate::tenants::test_config::{config, server};

const SERVERS: &str = "/v1/mcp/servers";
const KEYS: (&str, &str) = (
    "AGENTAPI_ENCRYPTION_KEYS",
    "first:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
);
const SECRET: &str = "hunter2-hunter2";

/// A gateway whose organization acme has the server clock and allows users' own.
async fn allowing() -> Running {
    let gateway = running_with(&[KEYS]).await;
    allow(&gateway);
    gateway
}

fn allow(gateway: &Running) {
    let mut acme = config("acme");
    acme.user_servers = true;
    acme.servers = vec![server("clock")];
    gateway.installer.install(acme).unwrap();
}

fn notes() -> Value {
    json!({
        "name": "notes", "url": "https://notes.example/mcp",
        "auth": { "bearer": SECRET }, "tools": { "allow": ["read_*"] },
    })
}

async fn send(gateway: &Running, who: &str, method: Method, path: &str, body: &Value) -> Answer {
    let token = gateway.token("acme", who, &[]);
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let answer = gateway.send(method, path, Some(&token), body).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(!text.contains(SECRET), "an answer shows the secret: {text}");
    answer
}

async fn post(gateway: &Running, body: &Value) -> Answer {
    send(gateway, "alice", Method::POST, SERVERS, body).await
}

async fn made(gateway: &Running, body: &Value) -> (String, Value) {
    let answer = post(gateway, body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    let document = answer.json();
    let id = document["id"].as_str().unwrap();
    assert_eq!(answer.headers["location"], format!("{SERVERS}/{id}"));
    (format!("{SERVERS}/{id}"), document)
}

fn refused(answer: &Answer, status: StatusCode, code: &str) {
    assert_eq!(answer.status, status, "{:?}", answer.body);
    assert_eq!(answer.problem()["code"], code);
}

fn listed(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| (text(&item["source"]), text(&item["name"])))
        .collect()
}

#[tokio::test]
async fn a_server_reads_back_as_it_was_made_without_its_secret() {
    let gateway = allowing().await;
    let (path, document) = made(&gateway, &notes()).await;
    let expected = json!({
        "id": document["id"], "organization": "acme", "name": "notes", "source": "user",
        "url": "https://notes.example/mcp", "auth": { "type": "bearer" },
        "tools": { "allow": ["read_*"], "deny": [] }, "version": 1,
        "createdAt": document["createdAt"], "updatedAt": document["createdAt"],
    });
    assert_eq!(document, expected);
    let read = send(&gateway, "alice", Method::GET, &path, &Value::Null).await;
    assert_eq!(read.json(), expected);
    assert_eq!(read.headers["etag"], "\"1\"");
}

#[tokio::test]
async fn the_list_has_the_organizations_servers_and_ones_own_in_pages() {
    let gateway = allowing().await;
    made(&gateway, &notes()).await;
    let pair = |source: &str, name: &str| (source.to_owned(), name.to_owned());
    let all = send(&gateway, "alice", Method::GET, SERVERS, &Value::Null)
        .await
        .json();
    assert_eq!(
        listed(&all),
        [pair("kubernetes", "clock"), pair("user", "notes")]
    );
    assert_eq!(
        all["items"][0].get("url"),
        None,
        "where it is, is not for users"
    );

    let page = format!("{SERVERS}?limit=1");
    let first = send(&gateway, "alice", Method::GET, &page, &Value::Null)
        .await
        .json();
    let next = format!("{page}&cursor={}", first["nextCursor"].as_str().unwrap());
    let second = send(&gateway, "alice", Method::GET, &next, &Value::Null)
        .await
        .json();
    assert_eq!([listed(&first), listed(&second)].concat(), listed(&all));
    assert_eq!(second.get("nextCursor"), None);

    let bobs = send(&gateway, "bob", Method::GET, SERVERS, &Value::Null)
        .await
        .json();
    assert_eq!(listed(&bobs), [pair("kubernetes", "clock")]);
}

#[tokio::test]
async fn where_the_organization_does_not_allow_it_nothing_is_added_but_what_is_there_can_be_removed()
 {
    let gateway = allowing().await;
    let (path, _) = made(&gateway, &notes()).await;
    gateway.installer.install(config("acme")).unwrap();
    let disabled = "user_servers_disabled";
    let body = json!({ "name": "more", "url": "https://more.example/mcp" });
    refused(
        &post(&gateway, &body).await,
        StatusCode::FORBIDDEN,
        disabled,
    );
    let body = json!({ "url": "https://notes.example/mcp" });
    let replaced = send(&gateway, "alice", Method::PUT, &path, &body).await;
    refused(&replaced, StatusCode::FORBIDDEN, disabled);
    let test = format!("{path}/test");
    let tested = send(&gateway, "alice", Method::POST, &test, &Value::Null).await;
    refused(&tested, StatusCode::FORBIDDEN, disabled);
    let removed = send(&gateway, "alice", Method::DELETE, &path, &Value::Null).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn names_and_prefixes_of_the_organization_and_ones_own_names_are_taken() {
    let gateway = allowing().await;
    made(&gateway, &notes()).await;
    let url = "https://other.example/mcp";
    for body in [
        json!({ "name": "clock", "url": url }),
        json!({ "name": "notes", "url": url }),
        json!({ "name": "other", "url": url, "tools": { "prefix": "clock" } }),
    ] {
        let answer = post(&gateway, &body).await;
        refused(&answer, StatusCode::CONFLICT, "mcp_server_name_taken");
    }
    let bobs = send(&gateway, "bob", Method::POST, SERVERS, &notes()).await;
    assert_eq!(
        bobs.status,
        StatusCode::CREATED,
        "another user's name is another"
    );
}

#[tokio::test]
async fn a_server_of_the_organization_is_shown_and_not_changed() {
    let gateway = allowing().await;
    let list = send(&gateway, "alice", Method::GET, SERVERS, &Value::Null)
        .await
        .json();
    let path = format!("{SERVERS}/{}", list["items"][0]["id"].as_str().unwrap());
    let read = send(&gateway, "alice", Method::GET, &path, &Value::Null).await;
    assert_eq!(read.json(), list["items"][0]);
    let body = json!({ "url": "https://other.example/mcp" });
    for (method, body) in [(Method::PUT, body), (Method::DELETE, Value::Null)] {
        let answer = send(&gateway, "alice", method, &path, &body).await;
        refused(&answer, StatusCode::FORBIDDEN, "mcp_server_read_only");
    }
}

#[tokio::test]
async fn a_server_that_the_organization_names_alike_later_stands_in_for_ones_own() {
    let gateway = allowing().await;
    let (path, _) = made(&gateway, &notes()).await;
    let mut acme = config("acme");
    acme.user_servers = true;
    acme.servers = vec![server("notes")];
    gateway.installer.install(acme).unwrap();
    let read = send(&gateway, "alice", Method::GET, &path, &Value::Null)
        .await
        .json();
    assert_eq!(read["shadowed"], true);
}

#[tokio::test]
async fn a_change_is_for_the_version_that_it_names() {
    let gateway = allowing().await;
    let (path, _) = made(&gateway, &notes()).await;
    let alice = gateway.token("acme", "alice", &[]);
    let put = async |tag: Option<&str>, url: &str| {
        let mut request = http::Request::put(format!("http://{}{path}", gateway.addresses.public))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {alice}"));
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        let body = json!({ "url": url }).to_string();
        crate::serve::testing::request_of(request.body(body.into()).unwrap()).await
    };
    let changed = put(Some("\"1\""), "https://notes.example/two").await;
    assert_eq!(
        (changed.status, &changed.headers["etag"]),
        (StatusCode::OK, &"\"2\"".parse().unwrap())
    );
    assert_eq!(
        changed.json()["tools"],
        json!({ "allow": [], "deny": [] }),
        "PUT replaces"
    );
    assert_eq!(
        changed.json()["auth"],
        json!({ "type": "bearer" }),
        "absent auth stays"
    );
    let late = put(Some("\"1\""), "https://notes.example/three").await;
    refused(
        &late,
        StatusCode::PRECONDITION_FAILED,
        "precondition_failed",
    );
    let last = put(None, "https://notes.example/four").await;
    assert_eq!(last.json()["version"], 3);
}

#[tokio::test]
async fn credentials_do_not_follow_a_server_to_another_place() {
    let gateway = allowing().await;
    let (path, _) = made(&gateway, &notes()).await;
    let put = async |body: Value| send(&gateway, "alice", Method::PUT, &path, &body).await;
    let elsewhere = "https://evil.example/mcp";
    let moved = put(json!({ "url": elsewhere })).await;
    refused(&moved, StatusCode::BAD_REQUEST, "invalid_request");
    let bare = put(json!({ "url": elsewhere, "auth": null })).await;
    assert_eq!(bare.json()["auth"], json!({ "type": "none" }));
    let given = put(json!({ "url": elsewhere, "auth": { "headers": { "X-Key": SECRET } } })).await;
    assert_eq!(
        given.json()["auth"],
        json!({ "type": "headers", "headers": ["x-key"] })
    );
}

#[tokio::test]
async fn a_server_is_made_once_under_its_idempotency_key() {
    let gateway = allowing().await;
    let alice = gateway.token("acme", "alice", &[]);
    let key = ("idempotency-key", "k");
    let first = gateway.post_with(SERVERS, &alice, key, &notes()).await;
    let again = gateway.post_with(SERVERS, &alice, key, &notes()).await;
    assert_eq!(
        (first.status, again.status),
        (StatusCode::CREATED, StatusCode::CREATED)
    );
    assert_eq!(first.json(), again.json());
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert!(!String::from_utf8_lossy(&again.body).contains(SECRET));
    let mut other = notes();
    other["url"] = "https://other.example/mcp".into();
    let reused = gateway.post_with(SERVERS, &alice, key, &other).await;
    refused(
        &reused,
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
    );
}

#[tokio::test]
async fn without_a_key_no_credential_is_stored_and_servers_without_one_are() {
    let gateway = running().await;
    allow(&gateway);
    let answer = post(&gateway, &notes()).await;
    refused(
        &answer,
        StatusCode::SERVICE_UNAVAILABLE,
        "encryption_not_configured",
    );
    assert_eq!(answer.problem()["retryable"], false);
    made(
        &gateway,
        &json!({ "name": "notes", "url": "https://notes.example/mcp" }),
    )
    .await;
}

#[tokio::test]
async fn a_user_has_twenty_at_most() {
    let gateway = allowing().await;
    for number in 0..20 {
        let body = json!({ "name": format!("s{number}"), "url": "https://a.example/mcp" });
        made(&gateway, &body).await;
    }
    let answer = post(&gateway, &notes()).await;
    refused(&answer, StatusCode::CONFLICT, "mcp_server_limit");
}

#[tokio::test]
async fn what_cannot_be_a_server_is_refused() {
    let gateway = allowing().await;
    let url = "https://a.example/mcp";
    for body in [
        json!({ "name": "A", "url": url }),
        json!({ "name": "a", "url": "ftp://a.example" }),
        json!({ "name": "a", "url": "https://u:p@a.example" }),
        json!({ "name": "a", "url": url, "auth": {} }),
        json!({ "name": "a", "url": url, "auth": { "bearer": "x", "headers": { "x-a": "y" } } }),
        json!({ "name": "a", "url": url, "auth": { "bearer": "a\r\nb" } }),
        json!({ "name": "a", "url": url, "auth": { "headers": { "Host": "b" } } }),
        json!({ "name": "a", "url": url, "tools": { "allow": ["[" ] } }),
        json!({ "name": "a", "url": url, "container": {} }),
    ] {
        let answer = post(&gateway, &body).await;
        refused(&answer, StatusCode::BAD_REQUEST, "invalid_request");
    }
}

#[tokio::test]
async fn every_act_is_on_the_record() {
    let gateway = allowing().await;
    let (path, _) = made(&gateway, &notes()).await;
    let body = json!({ "url": "https://notes.example/mcp" });
    send(&gateway, "alice", Method::PUT, &path, &body).await;
    send(
        &gateway,
        "alice",
        Method::POST,
        &format!("{path}/test"),
        &Value::Null,
    )
    .await;
    send(&gateway, "alice", Method::DELETE, &path, &Value::Null).await;
    let auditor = gateway.token("acme", "ada", &["auditor"]);
    let resource = path.replace("/v1/mcp/servers", "mcp-servers");
    for (action, outcome) in [
        ("mcp_server.create", "success"),
        ("mcp_server.update", "success"),
        ("mcp_server.test", "failure"),
        ("mcp_server.delete", "success"),
    ] {
        let found = gateway
            .get(&format!("/v1/audit?action={action}"), &auditor)
            .await
            .json();
        let records = found["items"].as_array().unwrap().iter();
        let mut outcomes: Vec<_> = records
            .filter(|record| record["resource"] == resource.as_str())
            .map(|record| record["outcome"].as_str().unwrap())
            .collect();
        outcomes.sort_unstable();
        let mut expected = ["intent", outcome];
        expected.sort_unstable();
        assert_eq!(outcomes, expected, "{action}");
    }
}
