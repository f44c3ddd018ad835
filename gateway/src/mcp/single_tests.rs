//! One server's own endpoint.

use http::StatusCode;
use serde_json::json;

use super::testing::{ECHOED, INITIALIZED, TestGateway, mcp_server, server};
use crate::upstream::test_server::{answer, json as json_answer};

const CALL: &str = r#"{"jsonrpc":"2.0", "id":"a\u0062","params":{"arguments":{"b":1.0,"a":[ ]},"name":"echo"},"method":"tools/call"}"#;

#[tokio::test]
async fn the_handshake_is_the_servers_own() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let found = gateway.client("/mcp/notes").initialize().await;
    let expected = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{INITIALIZED}}}"#);
    assert_eq!(found.text, expected);
    assert_ne!(
        found.headers["mcp-session-id"], "up-1",
        "the server's session must not be shown"
    );
}

#[tokio::test]
async fn calls_and_answers_pass_to_the_byte() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp/notes").await;
    let found = client.send(CALL).await;
    assert_eq!(
        found.text,
        format!(r#"{{"jsonrpc":"2.0","id":"ab","result":{ECHOED}}}"#)
    );
    assert_eq!(upstream.seen().pop().unwrap().text, CALL);
}

#[tokio::test]
async fn methods_that_nobody_knows_pass_too() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp/notes").await;
    assert_eq!(
        client.ask("custom/method", json!({})).await.result(),
        json!({})
    );
}

#[tokio::test]
async fn a_revision_that_is_not_spoken_is_negotiated_with_the_server() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let params = json!({ "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {} });
    let client = gateway.client("/mcp/notes");
    client.ask("initialize", params).await.result();
    let asked = upstream.seen().remove(0).json();
    assert_eq!(asked["params"]["protocolVersion"], "2025-11-25");
}

#[tokio::test]
async fn a_lost_session_is_gone_for_the_client_too() {
    let upstream = mcp_server(|seen| {
        let lost = seen.rpc_method() == "tools/call";
        lost.then(|| answer(StatusCode::NOT_FOUND, "text/plain", ""))
    })
    .await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp/notes").await;
    assert_eq!(client.send(CALL).await.status, StatusCode::NOT_FOUND);
    let ping = client.ask("ping", json!({})).await;
    assert_eq!(ping.status, StatusCode::NOT_FOUND, "{ping:?}");
    assert_eq!(
        gateway.records("tool.call").await[1],
        (
            "notes/echo".into(),
            "failure".into(),
            json!("upstream_session_lost")
        )
    );
}

#[tokio::test]
async fn a_withheld_tool_is_unknown_in_list_and_call_alike() {
    let upstream = mcp_server(|_| None).await;
    let mut config = server("notes", &upstream.url());
    config.tools.deny = vec!["f*".into()];
    let gateway = TestGateway::start(vec![config]).await;
    let client = gateway.connected("/mcp/notes").await;
    let listed = client.ask("tools/list", json!({})).await;
    assert_eq!(
        listed.result()["tools"],
        json!([{ "name": "echo", "x": 1.0 }])
    );
    let error = |name: &'static str| {
        let client = &client;
        async move {
            let answer = client.ask("tools/call", json!({ "name": name })).await;
            let mut error = answer.error();
            error["data"]["requestId"].take();
            error.to_string().replace(name, "NAME")
        }
    };
    assert_eq!(error("fail").await, error("fictitious").await);
    assert_eq!(upstream.count("tools/call"), 0, "the server was asked");
}

#[tokio::test]
async fn a_server_that_does_not_exist_is_not_found() {
    let gateway = TestGateway::start(vec![]).await;
    let answer = gateway.client("/mcp/nowhere").initialize().await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn servers_that_fail_are_typed_errors() {
    let garbage = mcp_server(|_| Some(json_answer("garbage"))).await;
    let down = mcp_server(|_| None).await.url();
    let gateway = TestGateway::start(vec![
        server("garbage", &garbage.url()),
        server("down", &down),
        server("undeclared", "http://10.255.255.1/mcp"),
    ])
    .await;
    for (path, code, retryable) in [
        ("/mcp/garbage", "upstream_invalid_message", true),
        ("/mcp/down", "upstream_unreachable", true),
        ("/mcp/undeclared", "upstream_refused", false),
    ] {
        let answer = gateway.client(path).initialize().await;
        let data = &answer.error()["data"];
        assert_eq!(data["code"], code, "{path}");
        assert_eq!(data["retryable"], retryable, "{path}");
        assert_eq!(
            data["requestId"],
            answer.headers["x-request-id"].to_str().unwrap(),
            "{path}"
        );
    }
}
