//! Users' own MCP servers.

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::mcp::{connect, request};
use super::{ALICE, BOB, MALLORY, Suite, expect_status, without_request_id};

const SERVERS: &str = "/v1/mcp/servers";
const SECRET: &str = "hunter2-hunter2";

pub(super) async fn run(suite: &mut Suite<'_>) -> Result<()> {
    remove_left_over(suite).await?;
    let path = made(suite).await?;
    tested(suite, &path).await?;
    used(suite).await?;
    foreign(suite, &path).await?;
    changed(suite, &path).await?;
    refused(suite).await?;
    removed(suite, &path).await
}

/// A run that failed may have left its server, which the next one could not make.
async fn remove_left_over(suite: &Suite<'_>) -> Result<()> {
    let token = suite
        .issuer
        .token(ALICE.organization, ALICE.user, ALICE.roles)?;
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str())];
    let list = suite
        .client
        .send(Method::GET, SERVERS, &headers, "")
        .await?;
    let items = list.json()?["items"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for item in items.iter().filter(|item| item["source"] == "user") {
        let path = format!("{SERVERS}/{}", item["id"].as_str().unwrap_or_default());
        suite
            .client
            .send(Method::DELETE, &path, &headers, "")
            .await?;
    }
    Ok(())
}

async fn made(suite: &mut Suite<'_>) -> Result<String> {
    let step = "Alice adds a server of her own";
    let body = json!({ "name": "mine", "url": suite.clock, "auth": { "bearer": SECRET } });
    let answer = suite
        .call(step, ALICE, Method::POST, SERVERS, Some(body.clone()))
        .await?;
    expect_status(step, &answer, StatusCode::CREATED)?;
    ensure!(
        !answer.json()?.to_string().contains(SECRET),
        "{step}: the secret comes back"
    );
    let id = answer.json()?["id"]
        .as_str()
        .context("it has an id")?
        .to_owned();

    let step = "Alice adds it again";
    let answer = suite
        .call(step, ALICE, Method::POST, SERVERS, Some(body))
        .await?;
    expect_status(step, &answer, StatusCode::CONFLICT)?;

    let step = "Alice lists the servers";
    let answer = suite.call(step, ALICE, Method::GET, SERVERS, None).await?;
    expect_status(step, &answer, StatusCode::OK)?;
    ensure!(
        !answer.json()?.to_string().contains(SECRET),
        "{step}: the secret comes back"
    );
    Ok(format!("{SERVERS}/{id}"))
}

async fn tested(suite: &mut Suite<'_>, path: &str) -> Result<()> {
    let step = "Alice has her server tested";
    let test = format!("{path}/test");
    let answer = suite.call(step, ALICE, Method::POST, &test, None).await?;
    expect_status(step, &answer, StatusCode::OK)?;
    ensure!(
        answer.json()?["ok"] == json!(true),
        "{step}: {}",
        answer.json()?
    );
    Ok(())
}

async fn used(suite: &mut Suite<'_>) -> Result<()> {
    let mcp = connect(suite, "Alice connects to her own server", "/mcp/mine").await?;
    let step = "Alice calls a tool of her own server";
    let noon = json!({ "time": "2026-01-01T12:00:00Z", "zone": "Asia/Tokyo" });
    let call = request(
        2,
        "tools/call",
        json!({ "name": "convert", "arguments": noon }),
    );
    let answer = suite
        .message(step, ALICE, "/mcp/mine", Some(&mcp), call)
        .await?;
    let message = answer.message()?;
    ensure!(
        message["result"]["isError"] != json!(true) && message["error"] == Value::Null,
        "{step}: {message}"
    );

    let mcp = connect(
        suite,
        "Alice connects to all servers, her own among them",
        "/mcp",
    )
    .await?;
    let step = "Alice lists all tools, her own among them";
    let list = request(2, "tools/list", json!({}));
    let answer = suite.message(step, ALICE, "/mcp", Some(&mcp), list).await?;
    let found = answer.message()?.to_string();
    ensure!(found.contains("mine__convert"), "{step}: {found}");
    Ok(())
}

/// Another user, and another organization's, get what an unknown server gets.
async fn foreign(suite: &mut Suite<'_>, path: &str) -> Result<()> {
    let step = "Bob connects to Alice's server";
    let initialize = request(
        1,
        "initialize",
        json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "black-box", "version": "1" },
        }),
    );
    let hers = suite
        .message(step, BOB, "/mcp/mine", None, initialize.clone())
        .await?;
    expect_status(step, &hers, StatusCode::NOT_FOUND)?;
    let step = "Bob connects to no server";
    let none = suite
        .message(step, BOB, "/mcp/nothing", None, initialize)
        .await?;
    ensure!(
        without_request_id(&hers)? == without_request_id(&none)?,
        "{step}: the answers differ"
    );
    for who in [BOB, MALLORY] {
        let step = format!("{} reads Alice's server", who.user);
        let answer = suite.call(&step, who, Method::GET, path, None).await?;
        expect_status(&step, &answer, StatusCode::NOT_FOUND)?;
    }
    Ok(())
}

async fn changed(suite: &mut Suite<'_>, path: &str) -> Result<()> {
    let step = "Alice takes her server elsewhere with its credential";
    let body = json!({ "url": "http://127.0.0.2:1/mcp" });
    let answer = suite
        .call(step, ALICE, Method::PUT, path, Some(body))
        .await?;
    expect_status(step, &answer, StatusCode::BAD_REQUEST)?;

    let step = "Alice takes her server elsewhere";
    let body = json!({ "url": "http://10.255.255.1/mcp", "auth": null });
    let answer = suite
        .call(step, ALICE, Method::PUT, path, Some(body))
        .await?;
    expect_status(step, &answer, StatusCode::OK)?;

    let step = "Alice has tested what must not be dialled";
    let test = format!("{path}/test");
    let answer = suite.call(step, ALICE, Method::POST, &test, None).await?;
    expect_status(step, &answer, StatusCode::OK)?;
    ensure!(
        answer.json()?["failure"]["code"] == json!("upstream_refused"),
        "{step}: {}",
        answer.json()?
    );
    Ok(())
}

async fn refused(suite: &mut Suite<'_>) -> Result<()> {
    let step = "Alice adds a server with the name of the organization's";
    let body = json!({ "name": "clock", "url": suite.clock });
    let answer = suite
        .call(step, ALICE, Method::POST, SERVERS, Some(body))
        .await?;
    expect_status(step, &answer, StatusCode::CONFLICT)?;

    let step = "Mallory's organization allows no servers of its users";
    let body = json!({ "name": "mine", "url": suite.clock });
    let answer = suite
        .call(step, MALLORY, Method::POST, SERVERS, Some(body))
        .await?;
    expect_status(step, &answer, StatusCode::FORBIDDEN)
}

async fn removed(suite: &mut Suite<'_>, path: &str) -> Result<()> {
    for (step, status) in [
        ("Alice removes her server", StatusCode::NO_CONTENT),
        ("Alice removes it again", StatusCode::NOT_FOUND),
    ] {
        let answer = suite.call(step, ALICE, Method::DELETE, path, None).await?;
        expect_status(step, &answer, status)?;
    }
    Ok(())
}
