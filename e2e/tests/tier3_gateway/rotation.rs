//! A credential that changes: the new value at once, and never again the old one.

use std::time::{Duration, Instant};

use agentapi_e2e::eventually::eventually;
use agentapi_e2e::mcp::Mcp;
use agentapi_e2e::organization::Organization;
use agentapi_e2e::recorder::Recorder;
use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::caller::{WITH_LOOPBACK, runner};

/// Longest time until a changed credential is used.
const BOUND: Duration = Duration::from_secs(5);

async fn set(organization: &Organization, value: &str) -> Result<()> {
    let manifest = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: token, namespace: {}, labels: {{agentapi.dev/use: credential}}}}\nstringData: {{value: {value}}}\n",
        organization.namespace
    );
    organization.cluster.apply(&manifest).await
}

fn server(recorder: &Recorder, secret: Option<&str>) -> String {
    let auth = secret
        .map(|name| format!(", auth: {{bearer: {{secretRef: {{name: {name}, key: value}}}}}}"));
    format!(
        "{{remote: {{url: '{}'}}{}}}",
        recorder.url,
        auth.unwrap_or_default()
    )
}

async fn call(mcp: &Mcp) -> Result<String> {
    mcp.result("tools/call", json!({ "name": "echo", "arguments": {} }))
        .await
}

#[tokio::test]
async fn a_changed_credential_is_used_within_seconds_and_the_old_one_never_again() -> Result<()> {
    let recorder = Recorder::start().await?;
    let organization = Organization::ready(WITH_LOOPBACK).await?;
    set(&organization, "one").await?;
    organization
        .apply_inside("McpServer", "recorder", &server(&recorder, Some("token")))
        .await?;
    organization.wait_for_servers(&["recorder"]).await?;
    let agent = runner(&organization, "agent").await?;
    let endpoint = format!("{}/mcp/recorder", organization.cluster.gateway);
    let mcp = eventually("the server is served", async || {
        Mcp::connect(&endpoint, Some(&agent)).await
    })
    .await?;
    call(&mcp).await?;
    ensure!(
        last(&recorder)? == "Bearer one",
        "it saw {:?}",
        recorder.calls()
    );

    set(&organization, "two").await?;
    let changed = Instant::now();
    loop {
        // A call that comes between the change and its validation may be asked to come again.
        let called = call(&mcp).await;
        if last(&recorder)? == "Bearer two" {
            called.context("the first call with the new credential")?;
            break;
        }
        ensure!(
            changed.elapsed() < BOUND,
            "after {BOUND:?} the old one is used still"
        );
    }
    let took = changed.elapsed();
    ensure!(took < BOUND, "it took {took:?}");
    for _ in 0..20 {
        call(&mcp).await?;
    }
    let anew = Mcp::connect(&endpoint, Some(&agent)).await?;
    call(&anew).await?;
    let calls = recorder.calls();
    let first = calls
        .iter()
        .position(|call| call.authorization == "Bearer two");
    let later = &calls[first.context("the new credential was seen")?..];
    ensure!(
        later.iter().all(|call| call.authorization == "Bearer two"),
        "the old credential came back: {later:?}"
    );
    organization.clean_up().await
}

#[tokio::test]
async fn a_missing_credential_is_told_by_the_servers_that_name_it_alone() -> Result<()> {
    let recorder = Recorder::start().await?;
    let organization = Organization::ready(WITH_LOOPBACK).await?;
    set(&organization, "one").await?;
    for (name, secret) in [("named", Some("token")), ("free", None)] {
        let server = server(&recorder, secret);
        organization
            .apply_inside("McpServer", name, &server)
            .await?;
    }
    organization.wait_for_servers(&["free", "named"]).await?;
    let agent = runner(&organization, "agent").await?;
    let endpoint = |server: &str| format!("{}/mcp/{server}", organization.cluster.gateway);
    let free = eventually("the server is served", async || {
        Mcp::connect(&endpoint("free"), Some(&agent)).await
    })
    .await?;
    let namespace = organization.namespace.as_str();
    let delete = ["delete", "secret", "token", "-n", namespace];
    organization.cluster.kubectl(&delete, "").await?;

    let named = ["mcpserver", "named", "-n", namespace];
    organization
        .wait_for_reason(&named, "Stalled", "SecretUnavailable")
        .await?;
    organization.wait_for_servers(&["free"]).await?;
    let found = ["mcpserver", "free", "-n", namespace];
    organization
        .wait_for_reason(&found, "Ready", "Reconciled")
        .await?;
    organization.wait_for("Ready", "True").await?;
    call(&free).await?;
    set(&organization, "again").await?;
    organization
        .wait_for_reason(&named, "Ready", "Reconciled")
        .await?;
    organization.clean_up().await
}

/// The credential that the last call of a tool came with.
fn last(recorder: &Recorder) -> Result<String> {
    let calls = recorder.calls();
    let called = calls.iter().rev().find(|call| call.method == "tools/call");
    Ok(called.context("no tool was called")?.authorization.clone())
}
