//! Deletion: the gateway lets an organization go before its finalizer does.

use agentapi_crds::internal_api::{Retirement, retirement};
use agentapi_e2e::eventually::eventually;
use agentapi_e2e::mcp::Mcp;
use agentapi_e2e::organization::Organization;
use agentapi_e2e::recorder::Recorder;
use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use serde_json::json;

use super::caller::{WITH_LOOPBACK, ask, becomes, runner};
use super::internal_api::{self, operators_token};

#[tokio::test]
async fn a_served_organization_is_not_let_go() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let agent = runner(&organization, "agent").await?;
    becomes(&organization, &agent, StatusCode::OK).await?;
    let operator = operators_token(&organization).await?;
    let retirement_of = Retirement {
        tenant_id: organization.document().await?.tenant_id,
    };
    let path = retirement(&organization.name);
    let body = serde_json::to_string(&retirement_of)?;
    let answer = internal_api::ask(Method::PUT, &path, Some(&operator), &body).await?;
    ensure!(
        answer.status == StatusCode::CONFLICT,
        "it was answered {} {:?}",
        answer.status,
        answer.body
    );
    becomes(&organization, &agent, StatusCode::OK).await?;
    organization.clean_up().await
}

#[tokio::test]
async fn a_deleted_organizations_upstream_sessions_are_closed_and_its_own_ended() -> Result<()> {
    let recorder = Recorder::start().await?;
    let tenant_id = uuid::Uuid::new_v4();
    let with_id = |spec: &str| format!("{{tenantId: {tenant_id}, {}", &spec[1..]);
    let organization = Organization::ready(&with_id(WITH_LOOPBACK)).await?;
    let server = format!("{{remote: {{url: '{}'}}}}", recorder.url);
    organization
        .apply_inside("McpServer", "recorder", &server)
        .await?;
    organization.wait_for_servers(&["recorder"]).await?;
    let agent = runner(&organization, "agent").await?;
    let endpoint = format!("{}/mcp/recorder", organization.cluster.gateway);
    let mcp = eventually("the server is served", async || {
        Mcp::connect(&endpoint, Some(&agent)).await
    })
    .await?;
    mcp.result("tools/call", json!({ "name": "echo", "arguments": {} }))
        .await?;
    let created = ask(&organization, Method::POST, "/v1/sessions", &agent).await?;
    let session = created.json()?["id"]
        .as_str()
        .context("no session")?
        .to_owned();
    let closed_before = closed(&recorder);

    organization.delete().await?;
    organization.wait_until_gone().await?;
    ensure!(
        closed(&recorder) > closed_before,
        "the upstream session was not closed: {:?}",
        recorder.calls()
    );

    // A restored organization has the old one's id, and none of its sessions.
    organization
        .break_glass(&[
            "delete",
            "namespace",
            &organization.namespace,
            "--wait=true",
        ])
        .await?;
    organization.apply(&with_id("{}")).await?;
    organization.wait_for("Ready", "True").await?;
    let agent = runner(&organization, "agent").await?;
    becomes(&organization, &agent, StatusCode::OK).await?;
    let path = format!("/v1/sessions/{session}");
    let found = ask(&organization, Method::GET, &path, &agent).await?;
    ensure!(
        found.status == StatusCode::NOT_FOUND,
        "the session is there still: {found:?}"
    );
    organization.clean_up().await
}

/// How often the server was told that a session ended.
fn closed(recorder: &Recorder) -> usize {
    let calls = recorder.calls();
    calls.iter().filter(|call| call.method == "DELETE").count()
}
