//! What people and other programs can wait for, and what the operator tells of itself.

use agentapi_e2e::client::{Answer, Client};
use agentapi_e2e::organization::Organization;
use agentapi_e2e::program::setting;
use anyhow::{Result, ensure};
use http::{Method, StatusCode};

#[tokio::test]
async fn kubectl_waits_for_each_of_the_three_kinds() -> Result<()> {
    let organization = Organization::unborn()?;
    organization.apply("{}").await?;
    let namespace = organization.namespace.as_str();
    let cluster = &organization.cluster;
    let ready = ["--for=condition=Ready", "--timeout=60s"];
    let own = format!("organization/{}", organization.name);
    cluster
        .kubectl(&["wait", ready[0], ready[1], &own], "")
        .await?;
    organization
        .apply_inside(
            "McpServer",
            "clock",
            "{remote: {url: 'https://clock.example.com/mcp'}}",
        )
        .await?;
    organization
        .apply_inside("PromptPolicy", "house", "{template: Be brief.}")
        .await?;
    for member in ["mcpserver/clock", "promptpolicy/house"] {
        cluster
            .kubectl(&["wait", ready[0], ready[1], member, "-n", namespace], "")
            .await?;
    }
    organization.clean_up().await
}

async fn ask(path: &str) -> Result<Answer> {
    let operator = Client::new(&setting("AGENTAPI_TEST_OPERATOR_ADMIN_URL")?);
    operator.send(Method::GET, path, &[], "").await
}

#[tokio::test]
async fn the_operator_tells_that_it_lives_and_leads() -> Result<()> {
    for (path, expected) in [("/live", "ok\n"), ("/ready", "leading\n")] {
        let answer = ask(path).await?;
        ensure!(
            answer.status == StatusCode::OK && answer.body == expected,
            "{path} was answered {} {:?}",
            answer.status,
            answer.body
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_operator_counts_what_it_does() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let answer = ask("/metrics").await?;
    let text = String::from_utf8_lossy(&answer.body);
    for metric in [
        r#"reconciles_total{kind="Organization",outcome="ok"}"#,
        r#"reconcile_seconds_count{kind="Organization"}"#,
        r#"writes_total{object="Namespace",verb="create"}"#,
        r#"queue_depth{kind="Organization"}"#,
        r#"organizations{condition="Ready",status="True"}"#,
        "leading",
    ] {
        let line = format!("agentapi_operator_{metric} ");
        ensure!(text.contains(&line), "there is no {line}in\n{text}");
    }
    organization.clean_up().await
}
