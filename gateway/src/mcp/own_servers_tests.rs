//! Users' own servers in use: they serve their user, with what they were given, and nobody else.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::testing::{ECHOED, TestClient, TestGateway, call, mcp_server, server};
use crate::upstream::test_server::{Seen, TestServer, answer};

const SERVERS: &str = "/v1/mcp/servers";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// A gateway whose organization has the server shared, at the same place as users' own.
async fn gateway(upstream: &TestServer) -> TestGateway {
    let shared = server("shared", &upstream.url());
    TestGateway::with(|acme| {
        acme.user_servers = true;
        acme.servers = vec![shared];
    })
    .await
}

/// Adds a server of alice's; returns its path.
async fn add(gateway: &TestGateway, name: &str, upstream: &TestServer) -> String {
    let body = json!({ "name": name, "url": upstream.url(), "auth": { "bearer": "hunter2" } });
    let made = gateway
        .raw(Method::POST, SERVERS, &JSON, body.to_string())
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    format!("{SERVERS}/{}", made.json()["id"].as_str().unwrap())
}

async fn tools(client: &TestClient<'_>) -> Vec<String> {
    let list = client.ask("tools/list", json!({})).await.result();
    let items = list["tools"].as_array().unwrap().iter();
    items
        .map(|tool| tool["name"].as_str().unwrap().to_owned())
        .collect()
}

/// A session of bob's.
async fn bobs<'a>(gateway: &'a TestGateway, path: &'a str) -> TestClient<'a> {
    let mut client = gateway.client(path);
    client.who = ("acme", "bob");
    let session = client.initialize().await.headers["mcp-session-id"].clone();
    client.session = Some(session.to_str().unwrap().to_owned());
    client
}

fn bearers(upstream: &TestServer, method: &str) -> Vec<Value> {
    let seen = upstream.seen().into_iter();
    let bearer = |seen: Seen| {
        seen.headers
            .get("authorization")
            .map(|value| value.to_str().unwrap().into())
    };
    seen.filter(|seen| seen.rpc_method() == method)
        .map(|seen| bearer(seen).unwrap_or(Value::Null))
        .collect()
}

#[tokio::test]
async fn ones_own_tools_are_listed_with_the_organizations_and_called_with_ones_own_credential() {
    let upstream = mcp_server(|_| None).await;
    let gateway = gateway(&upstream).await;
    add(&gateway, "mine", &upstream).await;
    let client = gateway.connected("/mcp").await;
    let expected = ["shared__echo", "shared__fail", "mine__echo", "mine__fail"];
    assert_eq!(tools(&client).await, expected);
    let answer = client.send(call("mine__echo")).await.text;
    assert!(answer.contains(ECHOED), "{answer}");
    client.send(call("shared__echo")).await.result();
    assert_eq!(
        bearers(&upstream, "tools/call"),
        [json!("Bearer hunter2"), Value::Null]
    );
}

#[tokio::test]
async fn nobody_else_sees_it_by_list_by_name_or_by_path() {
    let upstream = mcp_server(|_| None).await;
    let gateway = gateway(&upstream).await;
    add(&gateway, "mine", &upstream).await;
    // The list as alice sees it is kept for a while, and is not bob's.
    tools(&gateway.connected("/mcp").await).await;
    let bob = bobs(&gateway, "/mcp").await;
    assert_eq!(tools(&bob).await, ["shared__echo", "shared__fail"]);
    let error = bob.send(call("mine__echo")).await.error();
    let unknown = bob.send(call("nope__echo")).await.error();
    assert_eq!(error["code"], unknown["code"]);
    let mut client = gateway.client("/mcp/mine");
    client.who = ("acme", "bob");
    let mine = client.initialize().await.without_request_id();
    client.path = "/mcp/nope";
    assert_eq!(mine, client.initialize().await.without_request_id());
}

#[tokio::test]
async fn it_has_an_endpoint_of_its_own_that_ends_with_it() {
    let upstream = mcp_server(|_| None).await;
    let gateway = gateway(&upstream).await;
    let path = add(&gateway, "mine", &upstream).await;
    let client = gateway.connected("/mcp/mine").await;
    assert_eq!(tools(&client).await, ["echo", "fail"]);
    let removed = gateway.raw(Method::DELETE, &path, &[], "").await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let gone = client.ask("tools/list", json!({})).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND, "{gone:?}");
}

#[tokio::test]
async fn a_session_with_one_place_is_not_shown_to_another_of_the_same_name() {
    let (first, second) = (mcp_server(|_| None).await, mcp_server(|_| None).await);
    let gateway = gateway(&first).await;
    let path = add(&gateway, "mine", &first).await;
    let client = gateway.connected("/mcp").await;
    client.send(call("mine__echo")).await.result();
    gateway.raw(Method::DELETE, &path, &[], "").await;
    add(&gateway, "mine", &second).await;
    client.send(call("mine__echo")).await;
    client.send(call("mine__echo")).await.result();
    let shown = |seen: &Seen| seen.headers.contains_key("mcp-session-id");
    let initialized = second
        .seen()
        .iter()
        .position(|seen| seen.rpc_method() == "initialize");
    let earlier = second.seen().into_iter().take(initialized.unwrap());
    assert_eq!(
        earlier.filter(shown).count(),
        0,
        "the first server's session was shown to the second"
    );
}

#[tokio::test]
async fn a_test_tells_what_the_server_is() {
    let upstream = mcp_server(|_| None).await;
    let gateway = gateway(&upstream).await;
    let path = add(&gateway, "mine", &upstream).await;
    let tested = gateway
        .raw(Method::POST, &format!("{path}/test"), &[], "")
        .await
        .json();
    assert_eq!(tested["ok"], true, "{tested}");
    assert_eq!(tested["protocolVersion"], "2025-11-25");
    assert_eq!(
        tested["serverInfo"],
        json!({ "name": "fixture", "version": "1" })
    );
    assert_eq!(
        tested["capabilities"]["tools"],
        json!({ "listChanged": true })
    );
    assert_eq!(
        tested["tools"],
        json!([{ "name": "echo" }, { "name": "fail" }])
    );
    assert!(
        tested["latencyMilliseconds"].as_f64().unwrap() > 0.0,
        "{tested}"
    );
    assert_eq!(bearers(&upstream, "initialize"), [json!("Bearer hunter2")]);
}

#[tokio::test]
async fn a_test_that_fails_says_why() {
    let refusing = mcp_server(|_| Some(answer(StatusCode::UNAUTHORIZED, "text/plain", ""))).await;
    let gateway = gateway(&refusing).await;
    let body = |name: &str, url: &str| json!({ "name": name, "url": url }).to_string();
    let away = "http://127.0.0.1:1/mcp";
    for (name, url, code) in [
        ("refusing", refusing.url(), "upstream_unauthorized"),
        ("away", away.to_owned(), "upstream_unreachable"),
        (
            "metadata",
            "http://169.254.169.254/latest".to_owned(),
            "upstream_refused",
        ),
        (
            "undeclared",
            "http://192.0.2.7/mcp".to_owned(),
            "upstream_refused",
        ),
    ] {
        let made = gateway
            .raw(Method::POST, SERVERS, &JSON, body(name, &url))
            .await
            .json();
        let path = format!("{SERVERS}/{}/test", made["id"].as_str().unwrap());
        let tested = gateway.raw(Method::POST, &path, &[], "").await.json();
        assert_eq!(
            (&tested["ok"], &tested["failure"]["code"]),
            (&json!(false), &json!(code)),
            "{name}: {tested}"
        );
    }
}
