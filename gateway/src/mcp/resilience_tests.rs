//! Servers that are busy, or fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use agentapi_crds::tenant_config::{BreakerConfig, ServerConfig};
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::testing::{TestClient, TestGateway, call, mcp_server, server};
use crate::upstream::test_server::{TestServer, answer, events};

/// A server that answers a method so for the first so many times, and then as usual.
async fn failing(method: &'static str, times: usize, failure: fn() -> Response) -> TestServer {
    let failed = AtomicUsize::new(0);
    mcp_server(move |seen| {
        let fails = seen.rpc_method() == method && failed.fetch_add(1, Ordering::SeqCst) < times;
        fails.then(failure)
    })
    .await
}

fn busy() -> Response {
    answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "")
}

fn broken() -> Response {
    answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "")
}

/// A gateway that leaves the server `notes` alone after two failures, for so many seconds.
async fn gateway(upstream: &TestServer, open_seconds: u64) -> TestGateway {
    let breaker = BreakerConfig {
        failures: 2,
        open_seconds,
    };
    let config = ServerConfig {
        breaker,
        ..patient(upstream)
    };
    TestGateway::start(vec![config]).await
}

/// The server `notes`, which may take its time.
fn patient(upstream: &TestServer) -> ServerConfig {
    ServerConfig {
        timeout_seconds: 20,
        ..server("notes", &upstream.url())
    }
}

async fn code(client: &TestClient<'_>) -> String {
    let error = client.send(call("notes__echo")).await.error();
    error["data"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn what_is_idempotent_is_tried_again_at_a_busy_server() {
    let upstream = failing("tools/list", 2, busy).await;
    let gateway = TestGateway::start(vec![patient(&upstream)]).await;
    let client = gateway.connected("/mcp").await;
    let tools = client.ask("tools/list", json!({})).await.result();
    assert_eq!(
        tools["_meta"],
        json!(null),
        "the list is not whole: {tools}"
    );
    assert_eq!(upstream.count("tools/list"), 3);
    let text = gateway.metrics().await;
    let line = r#"agentapi_upstream_retries_total{operation="list"} 2"#;
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn an_operation_counts_once_however_often_it_is_tried() {
    let upstream = failing("tools/list", 3, busy).await;
    let gateway = gateway(&upstream, 600).await;
    let client = gateway.connected("/mcp").await;
    let failed = client.ask("tools/list", json!({})).await.result();
    let failures = &failed["_meta"]["agentapi.dev/failures"];
    assert_eq!(failures[0]["code"], "upstream_status", "{failed}");
    let tools = client.ask("tools/list", json!({})).await.result();
    assert_eq!(
        tools["_meta"],
        json!(null),
        "the server is left alone: {tools}"
    );
}

#[tokio::test]
async fn a_tool_is_never_called_twice() {
    let upstream = failing("tools/call", 1, busy).await;
    let gateway = TestGateway::start(vec![patient(&upstream)]).await;
    let client = gateway.connected("/mcp").await;
    assert_eq!(code(&client).await, "upstream_status");
    assert_eq!(upstream.count("tools/call"), 1);
}

#[tokio::test]
async fn nothing_is_tried_again_once_an_answer_has_begun() {
    let upstream = failing("resources/read", 1, || events(&[])).await;
    let gateway = TestGateway::start(vec![patient(&upstream)]).await;
    let client = gateway.connected("/mcp").await;
    let read = json!({ "uri": "notes+note://1" });
    let error = client.ask("resources/read", read).await.error();
    assert_eq!(error["data"]["code"], "upstream_interrupted");
    assert_eq!(upstream.count("resources/read"), 1);
}

#[tokio::test]
async fn a_server_that_fails_in_a_row_is_left_alone_for_that_operation_only() {
    for failure in [broken as fn() -> Response, || events(&[])] {
        let upstream = failing("tools/call", usize::MAX, failure).await;
        let gateway = gateway(&upstream, 600).await;
        let client = gateway.connected("/mcp").await;
        for _ in 0..2 {
            assert_ne!(code(&client).await, "upstream_circuit_open");
        }
        assert_eq!(code(&client).await, "upstream_circuit_open");
        assert_eq!(upstream.count("tools/call"), 2, "the server was asked");
        client.ask("resources/list", json!({})).await.result();
        assert_eq!(upstream.count("resources/list"), 1);
        let text = gateway.metrics().await;
        let line = r#"agentapi_upstream_breakers_open{operation="call"} 1"#;
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_was_left_alone_is_asked_again_after_a_while() {
    let well = Arc::new(AtomicBool::new(false));
    let recovered = well.clone();
    let upstream = mcp_server(move |seen| {
        let fails = seen.rpc_method() == "tools/call" && !recovered.load(Ordering::SeqCst);
        fails.then(broken)
    })
    .await;
    let gateway = gateway(&upstream, 1).await;
    let client = gateway.connected("/mcp").await;
    while code(&client).await != "upstream_circuit_open" {}
    well.store(true, Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !client
        .send(call("notes__echo"))
        .await
        .text
        .contains("result")
    {
        assert!(Instant::now() < deadline, "the server is never asked again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let text = gateway.metrics().await;
    let line = r#"agentapi_upstream_breakers_open{operation="call"} 0"#;
    assert!(text.contains(line), "{text}");
}
