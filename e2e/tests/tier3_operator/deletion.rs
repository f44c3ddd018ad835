//! Deletion: first nothing is served, then what the policy says.

use agentapi_e2e::eventually::eventually;
use anyhow::{Result, ensure};

use agentapi_e2e::organization::{Organization, expect_said};

#[tokio::test]
async fn a_deleted_organization_takes_its_namespace_along_where_the_policy_says_so() -> Result<()> {
    let organization = Organization::ready("{deletionPolicy: Delete}").await?;
    organization
        .apply_inside(
            "McpServer",
            "box",
            "{container: {image: 'registry.example.com/box:1', port: 8000}}",
        )
        .await?;
    organization.wait_for_servers(&["box"]).await?;
    organization.delete().await?;
    organization.wait_until_gone().await?;
    ensure!(
        !organization
            .exists("namespace", &organization.namespace, None)
            .await?,
        "the namespace is still there"
    );
    let document = format!("tenant-{}", organization.name);
    ensure!(
        !organization
            .exists("configmap", &document, Some("agentapi-tenants"))
            .await?,
        "it is still served"
    );
    Ok(())
}

#[tokio::test]
async fn a_retained_namespace_stays_closed_and_nothing_runs_in_it() -> Result<()> {
    let organization = Organization::ready("{deletionPolicy: Retain}").await?;
    organization
        .apply_inside(
            "McpServer",
            "box",
            "{container: {image: 'registry.example.com/box:1', port: 8000}}",
        )
        .await?;
    eventually("the workload is there", async || {
        organization.object("deployment", "box").await.map(drop)
    })
    .await?;
    organization.delete().await?;
    organization.wait_until_gone().await?;

    eventually("the workload is gone", async || {
        let deployments = organization.names("deployments").await?;
        ensure!(
            deployments.is_empty(),
            "the Deployments are {deployments:?}"
        );
        Ok(())
    })
    .await?;
    let policies = organization.names("networkpolicies").await?;
    ensure!(
        policies.contains(&"agentapi-default-deny".to_owned()),
        "the NetworkPolicies are {policies:?}"
    );
    let document = format!("tenant-{}", organization.name);
    ensure!(
        !organization
            .exists("configmap", &document, Some("agentapi-tenants"))
            .await?,
        "it is still served"
    );

    organization
        .break_glass(&[
            "delete",
            "namespace",
            &organization.namespace,
            "--wait=false",
        ])
        .await
        .map(drop)
}

#[tokio::test]
async fn an_organization_of_the_same_name_does_not_take_a_retained_namespace_over() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization.delete().await?;
    organization.wait_until_gone().await?;
    organization.apply("{}").await?;
    let object = ["organization", organization.name.as_str()];
    organization
        .wait_for_reason(&object, "Stalled", "NameConflict")
        .await?;
    organization
        .break_glass(&[
            "delete",
            "namespace",
            &organization.namespace,
            "--wait=false",
        ])
        .await?;
    organization.delete().await
}

#[tokio::test]
async fn what_blocks_a_deletion_is_told() -> Result<()> {
    let organization = Organization::ready("{deletionPolicy: Delete}").await?;
    let blocker = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: blocker, namespace: {}, finalizers: [example.com/blocker]}}\n",
        organization.namespace
    );
    organization.cluster.apply(&blocker).await?;
    organization.delete().await?;
    eventually("the condition names the finalizer", async || {
        let found = organization
            .cluster
            .get(&["organization", &organization.name])
            .await?;
        expect_said(
            &found["status"]["conditions"].to_string(),
            "example.com/blocker",
        )
    })
    .await?;
    let patch = r#"{"metadata":{"finalizers":null}}"#;
    let arguments = [
        "patch",
        "configmap",
        "blocker",
        "-n",
        &organization.namespace,
        "--type=merge",
        "-p",
        patch,
    ];
    organization.cluster.kubectl(&arguments, "").await?;
    organization.wait_until_gone().await
}

#[tokio::test]
async fn a_protected_organization_cannot_be_deleted() -> Result<()> {
    let organization = Organization::ready("{preventDeletion: true}").await?;
    let said = organization
        .refused(&["delete", "organization", &organization.name], "")
        .await?;
    expect_said(&said, "spec.preventDeletion is true")?;
    organization.apply("{preventDeletion: false}").await?;
    organization.clean_up().await
}
