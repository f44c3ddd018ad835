//! MCP: federated, one server, and within an agent session.

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ALICE, BOB, MALLORY, Suite, Who, expect_status};
use crate::client::Answer;

pub(super) async fn run(suite: &mut Suite<'_>, session: &str) -> Result<()> {
    let federated = connect(suite, "Alice connects to all servers", "/mcp").await?;
    federated_lists(suite, &federated).await?;
    federated_calls(suite, &federated).await?;
    malformed_messages(suite, &federated).await?;
    foreign_sessions(suite, &federated).await?;
    one_server(suite).await?;
    in_agent_session(suite, session).await?;
    disconnect(suite, &federated).await
}

/// `initialize` and `notifications/initialized`; returns the session's id.
pub(super) async fn connect(suite: &mut Suite<'_>, step: &str, path: &str) -> Result<String> {
    let initialize = request(
        1,
        "initialize",
        json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "black-box", "version": "1" },
        }),
    );
    let answer = suite.message(step, ALICE, path, None, initialize).await?;
    expect_status(step, &answer, StatusCode::OK)?;
    let session = answer.header("mcp-session-id").to_owned();
    ensure!(
        !session.is_empty(),
        "{step}: no Mcp-Session-Id: {:?}",
        answer.json()?
    );
    let initialized =
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
    let answer = suite
        .message(
            &format!("{step}: initialized"),
            ALICE,
            path,
            Some(&session),
            initialized,
        )
        .await?;
    expect_status(step, &answer, StatusCode::ACCEPTED)?;
    Ok(session)
}

async fn federated_lists(suite: &mut Suite<'_>, mcp: &str) -> Result<()> {
    let step = "Alice lists all tools";
    let answer = ask(suite, step, "/mcp", mcp, "tools/list", json!({})).await?;
    let result = result(step, &answer)?;
    let names: Vec<_> = result["tools"]
        .as_array()
        .context("tools is a list")?
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    ensure!(
        names.contains(&"clock__convert"),
        "{step}: the clock's tools are missing: {names:?}"
    );
    let failures = result["_meta"]["agentapi.dev/failures"].to_string();
    for server in ["down", "undeclared"] {
        ensure!(
            failures.contains(server),
            "{step}: the failure of {server} is not visible: {result}"
        );
    }
    for method in ["resources/list", "resources/templates/list", "prompts/list"] {
        ask(
            suite,
            &format!("Alice asks for {method}"),
            "/mcp",
            mcp,
            method,
            json!({}),
        )
        .await?;
    }
    Ok(())
}

async fn federated_calls(suite: &mut Suite<'_>, mcp: &str) -> Result<()> {
    let noon = json!({ "time": "2026-01-01T12:00:00Z", "zone": "Asia/Tokyo" });
    let step = "Alice calls a tool";
    let answer = ask(
        suite,
        step,
        "/mcp",
        mcp,
        "tools/call",
        json!({ "name": "clock__convert", "arguments": noon }),
    )
    .await?;
    ensure!(
        result(step, &answer)?["isError"] != json!(true),
        "{step}: the tool failed: {:?}",
        answer.json()?
    );

    let step = "Alice calls a tool that reports progress";
    let countdown = json!({ "name": "clock__countdown", "arguments": { "from": 3 }, "_meta": { "progressToken": "p-1" } });
    let answer = ask(suite, step, "/mcp", mcp, "tools/call", countdown).await?;
    let events = answer.json()?;
    let progress = events
        .as_array()
        .into_iter()
        .flatten()
        .filter(|event| event["method"] == "notifications/progress");
    ensure!(
        progress.count() > 0,
        "{step}: no progress arrived: {events}"
    );

    for (step, name) in [
        ("a tool nobody offers", "clock__nothing"),
        ("a server nobody has", "nowhere__now"),
        ("a name without server", "now"),
    ] {
        let answer = ask(
            suite,
            step,
            "/mcp",
            mcp,
            "tools/call",
            json!({ "name": name, "arguments": {} }),
        )
        .await?;
        error(step, &answer)?;
    }
    Ok(())
}

async fn malformed_messages(suite: &mut Suite<'_>, mcp: &str) -> Result<()> {
    let bodies = [
        ("not JSON", "{\"jsonrpc\":".to_owned(), -32700),
        ("not JSON-RPC", "{\"id\":1}".to_owned(), -32600),
        (
            "a batch",
            format!("[{}]", request(1, "ping", json!({}))),
            -32600,
        ),
        (
            "a key twice",
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#.to_owned(),
            -32600,
        ),
        (
            "a key in two cases",
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/list"}"#.to_owned(),
            -32600,
        ),
        (
            "an unknown method",
            request(1, "no/such/method", json!({})),
            -32601,
        ),
        (
            "a call without a name",
            request(1, "tools/call", json!({ "arguments": {} })),
            -32602,
        ),
    ];
    for (step, body, code) in bodies {
        let answer = suite.message(step, ALICE, "/mcp", Some(mcp), body).await?;
        let found = error(step, &answer)?["code"].clone();
        ensure!(
            found == json!(code),
            "{step}: expected JSON-RPC error {code}, got {found}"
        );
    }
    Ok(())
}

async fn foreign_sessions(suite: &mut Suite<'_>, mcp: &str) -> Result<()> {
    let ping = request(1, "ping", json!({}));
    let step = "no MCP session";
    let answer = suite
        .message(step, ALICE, "/mcp", None, ping.clone())
        .await?;
    expect_status(step, &answer, StatusCode::BAD_REQUEST)?;
    let unknown = "00000000-0000-4000-8000-000000000000";
    let cases: [(&str, Who, &str); 3] = [
        ("an unknown MCP session", ALICE, unknown),
        ("Bob uses Alice's MCP session", BOB, mcp),
        ("Mallory uses Alice's MCP session", MALLORY, mcp),
    ];
    for (step, who, session) in cases {
        let answer = suite
            .message(step, who, "/mcp", Some(session), ping.clone())
            .await?;
        expect_status(step, &answer, StatusCode::NOT_FOUND)?;
    }
    let step = "Alice's MCP session on another endpoint";
    let answer = suite
        .message(step, ALICE, "/mcp/clock", Some(mcp), ping)
        .await?;
    expect_status(step, &answer, StatusCode::NOT_FOUND)
}

async fn one_server(suite: &mut Suite<'_>) -> Result<()> {
    let mcp = connect(suite, "Alice connects to one server", "/mcp/clock").await?;
    let step = "Alice lists the tools of one server";
    let answer = ask(suite, step, "/mcp/clock", &mcp, "tools/list", json!({})).await?;
    let listed = result(step, &answer)?["tools"].to_string();
    ensure!(
        listed.contains("\"convert\""),
        "{step}: names are not untouched: {listed}"
    );
    let noon = json!({ "name": "convert", "arguments": { "time": "2026-01-01T12:00:00Z", "zone": "Asia/Tokyo" } });
    let step = "Alice calls a tool of one server";
    result(
        step,
        &ask(suite, step, "/mcp/clock", &mcp, "tools/call", noon).await?,
    )?;

    for (step, path) in [
        ("a server that is down", "/mcp/down"),
        ("a server that must not be dialled", "/mcp/undeclared"),
    ] {
        let initialize = request(
            1,
            "initialize",
            json!({
                "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "black-box", "version": "1" },
            }),
        );
        let answer = suite.message(step, ALICE, path, None, initialize).await?;
        ensure!(
            answer.json()?.to_string().contains("retryable"),
            "{step}: not a typed error: {}",
            answer.json()?
        );
    }
    let step = "a server that does not exist";
    let answer = suite
        .message(
            step,
            ALICE,
            "/mcp/nowhere",
            None,
            request(1, "initialize", json!({})),
        )
        .await?;
    expect_status(step, &answer, StatusCode::NOT_FOUND)
}

async fn in_agent_session(suite: &mut Suite<'_>, session: &str) -> Result<()> {
    let path = format!("{session}/mcp");
    let initialize = request(
        1,
        "initialize",
        json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "black-box", "version": "1" },
        }),
    );
    let step = "Alice connects within her agent session";
    let answer = suite
        .message(step, ALICE, &path, None, initialize.clone())
        .await?;
    let instructions = result(step, &answer)?["instructions"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    ensure!(
        instructions.contains("politely"),
        "{step}: the composed prompt is not in the instructions: {instructions}"
    );
    let step = "Mallory connects within Alice's agent session";
    let answer = suite
        .message(step, MALLORY, &path, None, initialize)
        .await?;
    expect_status(step, &answer, StatusCode::NOT_FOUND)
}

async fn disconnect(suite: &mut Suite<'_>, mcp: &str) -> Result<()> {
    let authorization = format!(
        "Bearer {}",
        suite
            .issuer
            .token(ALICE.organization, ALICE.user, ALICE.roles)?
    );
    let headers = [
        ("authorization", authorization.as_str()),
        ("mcp-session-id", mcp),
    ];
    let answer = suite
        .send("Alice disconnects", &headers, Method::DELETE, "/mcp", None)
        .await?;
    ensure!(
        answer.status.is_success(),
        "Alice disconnects: got {}",
        answer.status
    );
    let step = "a disconnected MCP session is gone";
    let answer = suite
        .message(
            step,
            ALICE,
            "/mcp",
            Some(mcp),
            request(1, "ping", json!({})),
        )
        .await?;
    expect_status(step, &answer, StatusCode::NOT_FOUND)
}

async fn ask(
    suite: &mut Suite<'_>,
    step: &str,
    path: &str,
    mcp: &str,
    method: &str,
    params: Value,
) -> Result<Answer> {
    let answer = suite
        .message(step, ALICE, path, Some(mcp), request(7, method, params))
        .await?;
    expect_status(step, &answer, StatusCode::OK)?;
    Ok(answer)
}

pub(super) fn request(id: u32, method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

fn result(step: &str, answer: &Answer) -> Result<Value> {
    let mut message = answer.message()?;
    ensure!(
        message.get("result").is_some(),
        "{step}: no result: {message}"
    );
    Ok(message["result"].take())
}

fn error(step: &str, answer: &Answer) -> Result<Value> {
    let mut message = answer.message()?;
    ensure!(
        message.get("error").is_some(),
        "{step}: no error: {message}"
    );
    Ok(message["error"].take())
}
