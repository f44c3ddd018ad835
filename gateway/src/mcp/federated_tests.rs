//! All servers as one.

use std::sync::Arc;
use std::time::Duration;

use agentapi_crds::tenant_config::{Merge, PolicyMode, PromptConfig, PromptLevel, ServerTarget};
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::testing::{ECHOED, PROGRESS, TestGateway, call, eventually, held, mcp_server, server};
use crate::upstream::test_server::{TestServer, accepted, answer, events, never};

fn names(list: &Value) -> Vec<&str> {
    let items = list.as_array().unwrap().iter();
    items.map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_gateway_introduces_itself_with_what_its_servers_can_do() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let result = gateway.client("/mcp").initialize().await.result();
    assert_eq!(result["serverInfo"]["name"], "agentapi");
    assert_eq!(
        result["capabilities"],
        json!({ "tools": {}, "resources": {}, "prompts": {} })
    );
}

#[tokio::test]
async fn capabilities_are_those_that_any_server_has() {
    let declaring = |capabilities: &'static str| {
        mcp_server(move |seen| {
            let result =
                format!(r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities}}}"#);
            let asked = seen.rpc_method() == "initialize";
            asked.then(|| crate::upstream::test_server::json(seen.result(&result)))
        })
    };
    let one = declaring(r#"{"prompts":{"listChanged":true}}"#).await;
    let other = declaring(r#"{"completions":{},"x-vendor":{}}"#).await;
    let servers = vec![server("one", &one.url()), server("other", &other.url())];
    let gateway = TestGateway::start(servers).await;
    let result = gateway.client("/mcp").initialize().await.result();
    let expected = json!({ "prompts": {}, "completions": {} });
    assert_eq!(result["capabilities"], expected);
}

#[tokio::test]
async fn what_is_done_at_servers_is_counted_without_anybodys_names() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp").await;
    client.ask("tools/list", json!({})).await.result();
    client.send(call("notes__echo")).await.result();
    client.send(call("notes__fail")).await.result();
    client
        .ask("resources/read", json!({ "uri": "notes+note://1" }))
        .await
        .result();
    client.ask("alices/own/method", json!({})).await.error();
    client.end().await;
    let ended = || {
        upstream
            .seen()
            .iter()
            .any(|seen| seen.method == Method::DELETE)
    };
    eventually("the session was not ended", ended).await;
    let counted = async |what: &str, labels: &str| {
        let line = format!("agentapi_{what}_duration_seconds_count{{{labels}}} 1");
        for _ in 0..1000 {
            if gateway.metrics().await.contains(&line) {
                return;
            }
        }
        panic!("{line} is not in {}", gateway.metrics().await);
    };
    for operation in ["connect", "list", "call", "read", "disconnect"] {
        let labels = format!(r#"operation="{operation}",outcome="success""#);
        counted("upstream", &labels).await;
    }
    counted("upstream", r#"operation="call",outcome="tool_error""#).await;
    counted("mcp_request", r#"method="tools/list",outcome="success""#).await;
    counted("mcp_request", r#"method="other",outcome="failure""#).await;
    let text = gateway.metrics().await;
    for name in ["acme", "alice", "notes", "echo"] {
        assert!(!text.contains(name), "{name} is in {text}");
    }
}

#[tokio::test]
async fn lists_are_merged_in_the_order_of_the_servers() {
    let (one, two) = (mcp_server(|_| None).await, mcp_server(|_| None).await);
    let gateway = TestGateway::start(vec![server("b", &one.url()), server("a", &two.url())]).await;
    let client = gateway.connected("/mcp").await;
    let tools = client.ask("tools/list", json!({})).await.result();
    assert_eq!(
        names(&tools["tools"]),
        ["a__echo", "a__fail", "b__echo", "b__fail"]
    );
    let resources = client.ask("resources/list", json!({})).await.result();
    assert_eq!(resources["resources"][0]["uri"], "a+note://1");
    let prompts = client.ask("prompts/list", json!({})).await.result();
    assert_eq!(names(&prompts["prompts"]), ["a__greet", "b__greet"]);
}

#[tokio::test]
async fn a_server_that_fails_or_hangs_is_visible_beside_the_others() {
    let good = mcp_server(|_| None).await;
    let hanging = TestServer::start(|_| never()).await;
    let down = mcp_server(|_| None).await.url();
    let gateway = TestGateway::start(vec![
        server("down", &down),
        server("good", &good.url()),
        server("hanging", &hanging.url()),
    ])
    .await;
    let client = gateway.connected("/mcp").await;
    let tools = client.ask("tools/list", json!({})).await.result();
    assert_eq!(names(&tools["tools"]), ["good__echo", "good__fail"]);
    let failures = &tools["_meta"]["agentapi.dev/failures"];
    assert_eq!(failures[0]["server"], "down");
    assert_eq!(failures[0]["code"], "upstream_unreachable");
    assert_eq!(failures[1]["server"], "hanging");
    assert_eq!(failures[1]["code"], "upstream_timeout");
    assert_eq!(failures[1]["retryable"], true);
}

#[tokio::test]
async fn a_call_passes_to_its_server_with_nothing_but_the_name_changed() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp").await;
    let found = client.send(call("notes__echo")).await;
    assert_eq!(
        found.text,
        format!(r#"{{"jsonrpc":"2.0","id":7,"result":{ECHOED}}}"#)
    );
    assert_eq!(upstream.seen().pop().unwrap().text, call("echo"));
}

#[tokio::test]
async fn a_call_is_on_the_record_before_and_after() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp").await;
    client.send(call("notes__echo")).await.result();
    client.send(call("notes__fail")).await.result();
    let record =
        |tool: &str, outcome: &str, reason| (format!("notes/{tool}"), outcome.to_owned(), reason);
    assert_eq!(
        gateway.records("tool.call").await,
        [
            record("echo", "intent", json!(null)),
            record("echo", "success", json!(null)),
            record("fail", "intent", json!(null)),
            record("fail", "failure", json!("tool_error")),
        ]
    );
}

#[tokio::test]
async fn a_tool_that_does_not_exist_is_unknown_wherever_it_is_missing() {
    let upstream = mcp_server(|_| None).await;
    let mut config = server("notes", &upstream.url());
    config.tools.allow = vec!["echo".into()];
    let gateway = TestGateway::start(vec![config]).await;
    let client = gateway.connected("/mcp").await;
    for name in ["echo", "nowhere__echo", "notes__fail", "notes__fictitious"] {
        let error = client.send(call(name)).await.error();
        assert_eq!(error["code"], -32602, "{name}");
        assert_eq!(error["message"], format!("Unknown tool: {name}"));
        assert_eq!(error["data"]["code"], "unknown_tool", "{name}");
    }
    assert_eq!(upstream.count("tools/call"), 0, "the server was asked");
}

#[tokio::test]
async fn a_resource_is_read_by_its_federated_uri() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp").await;
    let read = client
        .ask("resources/read", json!({ "uri": "notes+note://1" }))
        .await
        .result();
    assert_eq!(read["contents"][0]["uri"], "notes+note://1");
    let asked = upstream.seen().pop().unwrap().json();
    assert_eq!(asked["params"]["uri"], "note://1");
    let unknown = client
        .ask("resources/read", json!({ "uri": "note://1" }))
        .await;
    assert_eq!(unknown.error()["code"], -32002);
}

#[tokio::test]
async fn what_cannot_be_carried_is_refused_by_name() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp").await;
    for method in ["resources/subscribe", "tasks/get", "no/such/method"] {
        let error = client.ask(method, json!({})).await.error();
        assert_eq!(error["code"], -32601, "{method}");
        assert!(error["message"].to_string().contains(method), "{error}");
    }
    client.ask("tools/list", json!({})).await.result();
    let handshake = upstream.seen().remove(0).json();
    assert_eq!(
        handshake["params"]["capabilities"],
        json!({ "roots": {} }),
        "tasks cannot be carried and must not be declared"
    );
}

#[tokio::test]
async fn a_cursor_that_was_not_given_out_is_refused() {
    let gateway = TestGateway::start(vec![]).await;
    let client = gateway.connected("/mcp").await;
    let answer = client.ask("tools/list", json!({ "cursor": "x" })).await;
    assert_eq!(answer.error()["code"], -32602);
}

#[tokio::test]
async fn all_pages_of_a_server_are_listed() {
    let upstream = mcp_server(|seen| {
        let cursor = seen.json()["params"]["cursor"].clone();
        (seen.rpc_method() == "tools/list").then(|| {
            let page = match cursor.as_str() {
                None => r#"{"tools":[{"name":"one"}],"nextCursor":"2"}"#,
                Some(_) => r#"{"tools":[{"name":"two"}]}"#,
            };
            crate::upstream::test_server::json(seen.result(page))
        })
    })
    .await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp").await;
    let tools = client.ask("tools/list", json!({})).await.result();
    assert_eq!(names(&tools["tools"]), ["notes__one", "notes__two"]);
}

#[tokio::test]
async fn tools_are_listed_once_for_many_sessions_and_resources_are_not() {
    let upstream = mcp_server(|_| None).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    for _ in 0..3 {
        let client = gateway.connected("/mcp").await;
        client.ask("tools/list", json!({})).await.result();
        client.ask("resources/list", json!({})).await.result();
    }
    assert_eq!(upstream.count("tools/list"), 1);
    assert_eq!(
        upstream.count("resources/list"),
        3,
        "one session's resources must not be shown to another"
    );
}

#[tokio::test]
async fn a_changed_list_is_asked_for_again() {
    let upstream = mcp_server(|seen| {
        let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        (seen.rpc_method() == "tools/call").then(|| events(&[changed, &seen.result("{}")]))
    })
    .await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp").await;
    client.ask("tools/list", json!({})).await.result();
    client.send(call("notes__echo")).await.result();
    client.ask("tools/list", json!({})).await.result();
    assert_eq!(upstream.count("tools/list"), 2);
}

#[tokio::test]
async fn progress_reaches_the_client_before_the_answer_exists() {
    let release = Arc::new(Notify::new());
    let upstream = held(release.clone()).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp").await;
    let response = client.post(call("notes__echo")).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(
        first,
        Bytes::from(format!("event: message\ndata: {PROGRESS}\n\n"))
    );
    release.notify_one();
    let rest = body.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&rest).contains(ECHOED), "{rest:?}");
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_cancel_the_call() {
    let release = Arc::new(Notify::new());
    let upstream = held(release.clone()).await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp").await;
    let mut response = client.post(call("notes__echo")).await;
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    release.notify_one();
    for _ in 0..1000 {
        if gateway.records("tool.call").await.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let records = gateway.records("tool.call").await;
    assert_eq!(records[1].1, "success", "{records:?}");
}

#[tokio::test]
async fn a_lost_session_fails_one_call_by_name_and_the_next_one_works() {
    let lose = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let upstream = mcp_server(move |seen| {
        let lost = seen.rpc_method() == "tools/call"
            && lose.swap(false, std::sync::atomic::Ordering::SeqCst);
        lost.then(|| answer(StatusCode::NOT_FOUND, "text/plain", ""))
    })
    .await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp").await;
    let error = client.send(call("notes__echo")).await.error();
    assert_eq!(error["data"]["code"], "upstream_session_lost");
    assert_eq!(error["data"]["server"], "notes");
    assert_eq!(error["data"]["retryable"], true);
    client.send(call("notes__echo")).await.result();
    assert_eq!(upstream.count("initialize"), 2);
}

#[tokio::test]
async fn a_servers_request_and_the_clients_answer_find_each_other() {
    let upstream = mcp_server(|seen| match seen.rpc_method().as_str() {
        "tools/call" => {
            let asked = r#"{"jsonrpc":"2.0","id":5,"method":"roots/list"}"#;
            Some(events(&[asked, &seen.result("{}")]))
        }
        "" => Some(accepted()),
        _ => None,
    })
    .await;
    let gateway = TestGateway::start(vec![server("notes", &upstream.url())]).await;
    let client = gateway.connected("/mcp").await;
    let called = client.send(call("notes__echo")).await;
    assert!(called.text.contains(r#""id":"notes__5""#), "{called:?}");
    let roots = r#"{"jsonrpc":"2.0","id":"notes__5","result":{"roots":[]}}"#;
    assert_eq!(client.send(roots).await.status, StatusCode::ACCEPTED);
    let answered = upstream.seen().pop().unwrap().text;
    assert_eq!(answered, roots.replace(r#""notes__5""#, "5"));
    let stray = client.send(r#"{"jsonrpc":"2.0","id":5,"result":{}}"#).await;
    assert_eq!(stray.status, StatusCode::BAD_REQUEST, "{stray:?}");
}

#[tokio::test]
async fn a_child_process_serves_calls_with_progress() {
    let script = format!(
        r#"while read -r line; do
            id=${{line#*\"id\":}}; id=${{id%%,*}}
            case "$line" in
                *initialize\"*) result='{{"protocolVersion":"2025-11-25","capabilities":{{"tools":{{}}}}}}';;
                *tools/list*) result='{{"tools":[{{"name":"count"}}]}}';;
                *tools/call*) echo '{PROGRESS}'; result='{ECHOED}';;
                *) continue;;
            esac
            echo "{{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":$result}}"
        done"#
    );
    let mut config = server("local", "");
    config.timeout_seconds = 10;
    config.target = ServerTarget::Process {
        command: vec!["sh".into(), "-c".into(), script],
        args: vec![],
        env: Default::default(),
    };
    let gateway = TestGateway::start(vec![config]).await;
    let client = gateway.connected("/mcp").await;
    let tools = client.ask("tools/list", json!({})).await.result();
    assert_eq!(names(&tools["tools"]), ["local__count"], "{tools}");
    let text = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"local__count","_meta":{"progressToken":"p"}}}"#;
    let called = client.send(text).await;
    assert!(called.text.contains(PROGRESS), "{called:?}");
    assert_eq!(
        called.result(),
        serde_json::from_str::<Value>(ECHOED).unwrap()
    );
}

#[tokio::test]
async fn an_agent_session_gives_its_prompt_as_instructions_to_its_user_alone() {
    let prompt = PromptConfig {
        name: "manners".into(),
        level: PromptLevel::Organization,
        priority: 1,
        r#match: Default::default(),
        template: "Serve {{ user }} in {{ workspace }}.".into(),
        variables: Default::default(),
        merge: Merge::Append,
        locked: false,
        sanitize: serde_json::from_value(json!({
            "mode": "Report", "rules": [], "patterns": [], "maxLength": 1000
        }))
        .unwrap(),
        mode: PolicyMode::Enforce,
    };
    let gateway = TestGateway::with_prompts(vec![], vec![prompt]).await;
    let json_type = [("content-type", "application/json")];
    let created = gateway
        .raw(
            Method::POST,
            "/v1/sessions",
            &json_type,
            r#"{"workspace":"atelier"}"#,
        )
        .await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/sessions/{id}/mcp");
    let mut client = gateway.client(&path);
    let result = client.initialize().await.result();
    assert_eq!(result["instructions"], "Serve alice in atelier.");
    client.who = ("acme", "bob");
    assert_eq!(client.initialize().await.status, StatusCode::NOT_FOUND);
}
