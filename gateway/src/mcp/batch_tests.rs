//! Batches of messages.

use agentapi_crds::tenant_config::RateConfig;
use http::StatusCode;
use serde_json::{Value, json};

use super::testing::{ECHOED, TestGateway, call, held, mcp_server, server};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const NOTIFIED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

fn batch(items: &[&str]) -> String {
    format!("[{}]", items.join(","))
}

#[tokio::test]
async fn a_batch_is_answered_by_an_array_of_the_responses() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected_as("/mcp", "2025-03-26").await;
    let answer = client
        .send(batch(&[
            PING,
            NOTIFIED,
            &call("notes__echo"),
            &call("notes__none"),
        ]))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let answers = answer.json();
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert_eq!(
        answers[0],
        json!({ "jsonrpc": "2.0", "id": 1, "result": {} })
    );
    let echoed: Value = serde_json::from_str(ECHOED).unwrap();
    assert_eq!(answers[1]["result"], echoed);
    assert_eq!(answers[2]["id"], 7);
}

#[tokio::test]
async fn a_batch_without_requests_is_taken_over() {
    let gateway = TestGateway::start(vec![]).await;
    let client = gateway.connected_as("/mcp", "2025-03-26").await;
    let answer = client.send(batch(&[NOTIFIED, NOTIFIED])).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
}

#[tokio::test]
async fn a_batch_streams_if_one_of_its_answers_does() {
    let release = std::sync::Arc::new(tokio::sync::Notify::new());
    release.notify_one();
    let upstream = held(release).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected_as("/mcp", "2025-03-26").await;
    let answer = client.send(batch(&[PING, &call("notes__echo")])).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let events: Vec<Value> = answer
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let answered = |id: i64| events.iter().any(|event| event["id"] == id);
    assert!(answered(1) && answered(7), "{events:?}");
    assert_eq!(events.len(), 3, "two answers and the progress: {events:?}");
}

#[tokio::test]
async fn a_batch_in_a_session_of_a_later_revision_is_refused() {
    let gateway = TestGateway::start(vec![]).await;
    for revision in ["2025-06-18", "2025-11-25"] {
        let client = gateway.connected_as("/mcp", revision).await;
        let answer = client.send(batch(&[PING])).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{revision}");
        assert_eq!(answer.error()["code"], -32600, "{revision}");
    }
}

#[tokio::test]
async fn one_malformed_item_refuses_the_whole_batch() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected_as("/mcp", "2025-03-26").await;
    let ambiguous = r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"x"}"#;
    for item in [ambiguous, "[]", "7"] {
        let answer = client.send(batch(&[&call("notes__echo"), item])).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{item}: {answer:?}");
    }
    assert_eq!(
        upstream.count("tools/call"),
        0,
        "a part of it was forwarded"
    );
}

#[tokio::test]
async fn each_item_counts_against_the_rate() {
    let gateway = TestGateway::with(|config| {
        config.rate_limits.per_user = RateConfig {
            requests_per_minute: 1,
            burst: 6,
        };
    })
    .await;
    let client = gateway.connected_as("/mcp", "2025-03-26").await;
    let answer = client.send(batch(&[PING; 5])).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{answer:?}");
}
