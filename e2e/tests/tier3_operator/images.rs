//! Registries bind the pods that an organization makes itself, too.

use agentapi_e2e::organization::{Organization, expect_said};
use anyhow::Result;

/// A pod of the organization's admin, run dry: there is no node.
async fn create_pod(organization: &Organization, spec: &str) -> Result<()> {
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: own, namespace: {}}}\nspec: {{securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}, {spec}}}\n",
        organization.namespace
    );
    let arguments = ["create", "-f", "-", "--dry-run=server", "--as=alice"];
    organization
        .cluster
        .kubectl(&arguments, &manifest)
        .await
        .map(drop)
}

fn container(image: &str) -> String {
    format!(
        "{{name: own, image: '{image}', imagePullPolicy: Always, securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}}}"
    )
}

async fn refused(organization: &Organization, spec: &str) -> Result<()> {
    let Err(refusal) = create_pod(organization, spec).await else {
        anyhow::bail!("it was allowed: {spec}");
    };
    expect_said(
        &refusal.to_string(),
        "not from the registries of the organization",
    )
}

async fn bound_to(registries: &str) -> Result<Organization> {
    let admins = "admins: [{kind: User, name: alice}]";
    Organization::ready(&format!("{{{admins}, registries: {registries}}}")).await
}

#[tokio::test]
async fn images_of_other_registries_are_refused() -> Result<()> {
    let organization = bound_to("[registry.example.com/team]").await?;
    for image in [
        "other.example.com/team/a",
        "registry.example.com/teammate/a",
        "registry.example.com.evil.test/team/a",
        "nginx",
    ] {
        refused(
            &organization,
            &format!("containers: [{}]", container(image)),
        )
        .await?;
    }
    for image in [
        "registry.example.com/team/a:1",
        "registry.example.com/team@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ] {
        create_pod(
            &organization,
            &format!("containers: [{}]", container(image)),
        )
        .await?;
    }
    organization.clean_up().await
}

#[tokio::test]
async fn images_of_init_containers_and_volumes_are_checked_too() -> Result<()> {
    let organization = bound_to("[registry.example.com/]").await?;
    let own = format!("containers: [{}]", container("registry.example.com/a"));
    let init = container("nginx").replace("name: own", "name: init");
    refused(&organization, &format!("{own}, initContainers: [{init}]")).await?;
    let volume = "volumes: [{name: v, image: {reference: nginx}}]";
    refused(&organization, &format!("{own}, {volume}")).await?;
    organization.clean_up().await
}

#[tokio::test]
async fn short_names_are_read_in_full() -> Result<()> {
    let organization = bound_to("[docker.io/library/]").await?;
    create_pod(
        &organization,
        &format!("containers: [{}]", container("nginx:1")),
    )
    .await?;
    refused(
        &organization,
        &format!("containers: [{}]", container("grafana/grafana")),
    )
    .await?;
    organization.clean_up().await
}

#[tokio::test]
async fn without_registries_every_image_is_allowed() -> Result<()> {
    let organization = bound_to("[]").await?;
    create_pod(
        &organization,
        &format!("containers: [{}]", container("nginx")),
    )
    .await?;
    organization.clean_up().await
}
