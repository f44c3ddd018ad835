//! A suspended organization: refused and stopped, with everything kept.

use agentapi_e2e::eventually::eventually;
use agentapi_e2e::organization::Organization;
use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};

use super::caller::{ask, becomes, runner};

async fn wait_for_replicas(organization: &Organization, expected: u64) -> Result<()> {
    eventually(
        &format!("the workload has {expected} replicas"),
        async || {
            let found = organization.object("deployment", "box").await?;
            ensure!(
                found["spec"]["replicas"] == expected,
                "{}",
                found["spec"]["replicas"]
            );
            Ok(())
        },
    )
    .await
}

#[tokio::test]
async fn a_suspended_organization_is_refused_stopped_and_kept_and_resumes() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let workload = "{container: {image: 'registry.example.com/box:1', port: 8000}, replicas: 2}";
    organization
        .apply_inside("McpServer", "box", workload)
        .await?;
    organization.create_secret("kept").await?;
    wait_for_replicas(&organization, 2).await?;
    let agent = runner(&organization, "agent").await?;
    becomes(&organization, &agent, StatusCode::OK).await?;
    let created = ask(&organization, Method::POST, "/v1/sessions", &agent).await?;
    let session = created.json()?["id"]
        .as_str()
        .context("no session")?
        .to_owned();

    organization.apply("{suspended: true}").await?;
    becomes(&organization, &agent, StatusCode::FORBIDDEN).await?;
    for path in ["/v1/sessions", "/mcp", "/mcp/box"] {
        let refused = ask(&organization, Method::POST, path, &agent).await?;
        ensure!(
            refused.status == StatusCode::FORBIDDEN
                && refused.json()?["code"] == "organization_suspended",
            "{path} was answered {} {:?}",
            refused.status,
            refused.body
        );
    }
    wait_for_replicas(&organization, 0).await?;
    let server = ["mcpserver", "box", "-n", &organization.namespace];
    organization
        .wait_for_reason(&server, "Ready", "Suspended")
        .await?;
    ensure!(
        organization
            .exists("secret", "kept", Some(&organization.namespace))
            .await?,
        "the Secret is gone"
    );

    organization.apply("{suspended: false}").await?;
    becomes(&organization, &agent, StatusCode::OK).await?;
    wait_for_replicas(&organization, 2).await?;
    let path = format!("/v1/sessions/{session}");
    let found = ask(&organization, Method::GET, &path, &agent).await?;
    ensure!(
        found.status == StatusCode::OK,
        "the session is gone: {found:?}"
    );
    organization.clean_up().await
}
