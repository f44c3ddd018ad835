//! Namespaces that a deleted organization left, and organizations that come after it.

use agentapi_e2e::eventually::eventually;
use agentapi_e2e::organization::{Organization, expect_said};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

const SERVER: &str = "{remote: {url: 'https://clock.example.com/mcp'}}";

/// An organization that was deleted and left its namespace with one server, and its tenantId.
async fn left_behind(spec: &str) -> Result<(Organization, String)> {
    let organization = Organization::ready(spec).await?;
    organization
        .apply_inside("McpServer", "clock", SERVER)
        .await?;
    organization.wait_for_servers(&["clock"]).await?;
    let tenant = organization.document().await?.tenant_id.to_string();
    organization.delete().await?;
    organization.wait_until_gone().await?;
    Ok((organization, tenant))
}

/// The organization again, with that tenantId and what the annotation allows.
async fn recreate(organization: &Organization, tenant: &str, allowed: &str) -> Result<()> {
    let manifest = format!(
        "apiVersion: agentapi.dev/v1alpha1\nkind: Organization\nmetadata: {{name: {}, annotations: {{agentapi.dev/take-over: '{allowed}'}}}}\nspec: {{tenantId: {tenant}}}\n",
        organization.name
    );
    organization.cluster.apply(&manifest).await
}

async fn wait_until_refused(organization: &Organization) -> Result<()> {
    let object = ["organization", organization.name.as_str()];
    organization
        .wait_for_reason(&object, "Stalled", "NameConflict")
        .await
}

async fn give_up(organization: Organization) -> Result<()> {
    let namespace = organization.namespace.as_str();
    organization
        .break_glass(&["delete", "namespace", namespace, "--wait=false"])
        .await?;
    organization.delete().await
}

#[tokio::test]
async fn a_retained_namespace_is_taken_over_by_the_same_tenant_where_the_annotation_allows_it()
-> Result<()> {
    let (organization, tenant) = left_behind("{admins: [{kind: User, name: alice}]}").await?;
    recreate(&organization, &tenant, &organization.namespace).await?;
    organization.wait_for("Ready", "True").await?;
    organization.wait_for_servers(&["clock"]).await?;
    ensure!(organization.document().await?.tenant_id.to_string() == tenant);
    let bindings = organization.names("rolebindings").await?;
    ensure!(
        !bindings.contains(&"agentapi-tenant-admin".to_owned()),
        "the earlier admins' rights were taken over: {bindings:?}"
    );
    organization.clean_up().await
}

#[tokio::test]
async fn every_object_of_a_namespace_that_was_taken_over_is_the_new_organizations() -> Result<()> {
    let (organization, tenant) = left_behind("{}").await?;
    recreate(&organization, &tenant, &organization.namespace).await?;
    organization.wait_for("Ready", "True").await?;
    let found = organization
        .cluster
        .get(&["organization", &organization.name])
        .await?;
    let uid = found["metadata"]["uid"].as_str().context("no UID")?;
    let kinds = "networkpolicies,resourcequotas,limitranges,serviceaccounts,rolebindings,roles";
    let selector = format!(
        "app.kubernetes.io/managed-by=agentapi-operator,agentapi.dev/organization-uid!={uid}"
    );
    let arguments = [kinds, "-n", &organization.namespace, "-l", &selector];
    let left = organization.cluster.get(&arguments).await?;
    ensure!(
        left["items"].as_array().is_some_and(Vec::is_empty),
        "these are still the earlier organization's: {left}"
    );
    organization.clean_up().await
}

#[tokio::test]
async fn without_the_annotation_a_retained_namespace_is_left_alone() -> Result<()> {
    let (organization, tenant) = left_behind("{}").await?;
    recreate(&organization, &tenant, "").await?;
    wait_until_refused(&organization).await?;
    let found = organization
        .cluster
        .get(&["organization", &organization.name])
        .await?;
    let conditions = found["status"]["conditions"].to_string();
    expect_said(&conditions, "agentapi.dev/take-over")?;
    give_up(organization).await
}

#[tokio::test]
async fn another_tenant_takes_no_namespace_over() -> Result<()> {
    let (organization, _) = left_behind("{}").await?;
    let other = uuid::Uuid::new_v4().to_string();
    recreate(&organization, &other, &organization.namespace).await?;
    wait_until_refused(&organization).await?;
    give_up(organization).await
}

#[tokio::test]
async fn an_organization_of_the_same_name_in_another_namespace_sees_nothing_of_the_old()
-> Result<()> {
    let (mut organization, tenant) = left_behind("{}").await?;
    let old = organization.namespace.clone();
    organization.namespace = format!("{old}-again");
    organization
        .apply(&format!("{{namespace: {}}}", organization.namespace))
        .await?;
    organization.wait_for("Ready", "True").await?;
    let document = organization.document().await?;
    ensure!(
        document.tenant_id.to_string() != tenant && document.servers.is_empty(),
        "it is served as {document:?}"
    );
    let server = ["mcpserver", "clock", "-n", &old];
    organization
        .wait_for_reason(&server, "Stalled", "NoOrganization")
        .await?;
    organization
        .break_glass(&["delete", "namespace", &old, "--wait=false"])
        .await?;
    organization.clean_up().await
}

#[tokio::test]
async fn a_namespace_that_others_made_is_left_as_it_is() -> Result<()> {
    let organization = Organization::unborn()?;
    let namespace = organization.namespace.clone();
    let manifest = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n");
    organization.cluster.apply(&manifest).await?;
    organization.apply("{}").await?;
    wait_until_refused(&organization).await?;
    let found = organization.cluster.get(&["namespace", &namespace]).await?;
    ensure!(
        found["metadata"]["labels"]["agentapi.dev/organization"] == Value::Null,
        "it was adopted: {}",
        found["metadata"]
    );
    let delete = ["delete", "namespace", &namespace, "--wait=false"];
    organization.cluster.kubectl(&delete, "").await?;
    eventually("the organization gets a namespace of its own", async || {
        organization.wait_for("Ready", "True").await
    })
    .await?;
    organization.clean_up().await
}
