//! What servers offer, as the status tells it.

use agentapi_e2e::eventually::eventually;
use agentapi_e2e::organization::Organization;
use agentapi_e2e::recorder::Recorder;
use anyhow::{Result, ensure};

use super::caller::WITH_LOOPBACK;

#[tokio::test]
async fn the_status_tells_how_many_tools_a_server_offers_and_their_digests() -> Result<()> {
    let recorder = Recorder::start().await?;
    let organization = Organization::ready(WITH_LOOPBACK).await?;
    let server = format!(
        "{{remote: {{url: '{}'}}, tools: {{deny: [secret]}}}}",
        recorder.url
    );
    organization
        .apply_inside("McpServer", "recorder", &server)
        .await?;
    eventually("the tools are told", async || {
        let status = organization.object("mcpserver", "recorder").await?["status"].clone();
        ensure!(status["tools"] == 1, "the status is {status}");
        let digests = status["digests"].as_object().cloned().unwrap_or_default();
        ensure!(
            digests.keys().eq(["echo"]),
            "a tool that is not offered is told of: {digests:?}"
        );
        Ok(())
    })
    .await?;
    let object = ["mcpserver", "recorder", "-n", &organization.namespace];
    organization
        .wait_for_reason(&object, "ToolsDiscovered", "Discovered")
        .await?;
    let asked = recorder
        .calls()
        .iter()
        .filter(|call| call.method == "tools/list")
        .count();
    ensure!(asked == 1, "one replica asks once, not {asked} times");
    organization.clean_up().await
}

#[tokio::test]
async fn a_server_that_does_not_answer_tells_so_and_stays_ready() -> Result<()> {
    let organization = Organization::ready(WITH_LOOPBACK).await?;
    let server = "{remote: {url: 'http://127.0.0.1:1/mcp'}}";
    organization
        .apply_inside("McpServer", "away", server)
        .await?;
    let object = ["mcpserver", "away", "-n", &organization.namespace];
    organization
        .wait_for_reason(&object, "ToolsDiscovered", "DiscoveryFailed")
        .await?;
    organization
        .wait_for_reason(&object, "Ready", "Reconciled")
        .await?;
    organization.clean_up().await
}
