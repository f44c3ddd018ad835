//! Calls that are given up, by the client or by the gateway.

use std::sync::Arc;

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::sync::Notify;

use super::testing::{TestGateway, call, eventually, held, mcp_server, server};
use crate::upstream::test_server::TestServer;

const CANCELLED: &str = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7,"reason":"enough"}}"#;

/// What a server was told of cancelled calls.
fn told(server: &TestServer) -> Vec<serde_json::Value> {
    let seen = server.seen().into_iter();
    let cancelled = seen.filter(|seen| seen.rpc_method() == "notifications/cancelled");
    cancelled.map(|seen| seen.json()["params"].take()).collect()
}

#[tokio::test]
async fn a_call_that_times_out_is_cancelled_at_its_server() {
    let silent = held(Arc::new(Notify::new())).await;
    let gateway = TestGateway::start(vec![server("notes", &silent.url())]).await;
    for (path, name) in [("/mcp", "notes__echo"), ("/mcp/notes", "echo")] {
        let client = gateway.connected(path).await;
        let before = told(&silent).len();
        let error = client.send(call(name)).await.error();
        assert_eq!(error["data"]["code"], "upstream_timeout", "{path}");
        eventually("the server was not told", || told(&silent).len() > before).await;
        assert_eq!(told(&silent)[before]["requestId"], 7, "{path}");
    }
}

#[tokio::test]
async fn a_call_that_is_answered_is_not_cancelled() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp").await;
    client.send(call("notes__echo")).await.result();
    client.ask("tools/list", json!({})).await.result();
    // Ending the session comes after anything that the call might have left to send.
    client.end().await;
    let ended = || {
        upstream
            .seen()
            .iter()
            .any(|seen| seen.method == Method::DELETE)
    };
    eventually("the session was not ended", ended).await;
    assert_eq!(told(&upstream), Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn a_client_cancels_the_call_at_its_server_alone_and_is_not_answered() {
    let (held, other) = (
        held(Arc::new(Notify::new())).await,
        mcp_server(|_| None).await,
    );
    let mut patient = server("held", &held.url());
    patient.timeout_seconds = 60;
    let servers = vec![patient, server("other", &other.url())];
    let gateway = TestGateway::start(servers).await;
    let client = gateway.connected("/mcp").await;
    client.ask("tools/list", json!({})).await.result();
    let mut response = client.post(call("held__echo")).await;
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(client.send(CANCELLED).await.status, StatusCode::ACCEPTED);
    let rest = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(rest, "", "an answer came to a call that was cancelled");
    assert_eq!(told(&held), [json!({ "requestId": 7, "reason": "enough" })]);
    assert_eq!(
        told(&other).len(),
        0,
        "a server that has no such call was told"
    );
    let records = gateway.records("tool.call").await;
    assert_eq!(records[1].1, "failure", "{records:?}");
    assert_eq!(records[1].2, "cancelled", "{records:?}");
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_calls() {
    let held = held(Arc::new(Notify::new())).await;
    let mut patient = server("notes", &held.url());
    patient.timeout_seconds = 60;
    let gateway = TestGateway::start(vec![patient]).await;
    let client = gateway.connected("/mcp").await;
    let mut response = client.post(call("notes__echo")).await;
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(client.end().await.status, StatusCode::NO_CONTENT);
    let rest = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(rest, "", "the stream went on after its session");
}
