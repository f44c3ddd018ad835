//! What a tenant puts where the platform's own objects, claims and credentials should be.

use agentapi_e2e::kubernetes_api::KubernetesApi;
use agentapi_e2e::organization::{BREAK_GLASS, Organization, expect_said};
use anyhow::{Result, ensure};
use http::Method;
use serde_json::Value;

const BOX: &str = "{container: {image: 'registry.example.com/box:1', port: 8000}}";
const ADMIN: &str = "--as=mallory";

async fn with_admin() -> Result<Organization> {
    Organization::ready("{admins: [{kind: User, name: mallory}]}").await
}

/// Creates something in the namespace as the organization's admin.
async fn create_as_admin(organization: &Organization, manifest: &str) -> Result<()> {
    let arguments = ["create", "-n", &organization.namespace, "-f", "-", ADMIN];
    organization
        .cluster
        .kubectl(&arguments, manifest)
        .await
        .map(drop)
}

fn resource_version(object: &Value) -> &Value {
    &object["metadata"]["resourceVersion"]
}

#[tokio::test]
async fn a_service_of_the_tenant_where_a_planned_one_should_be_is_not_adopted() -> Result<()> {
    let organization = with_admin().await?;
    let service = "{apiVersion: v1, kind: Service, metadata: {name: box}, spec: {selector: {app: mallory}, ports: [{port: 8000}]}}";
    create_as_admin(&organization, service).await?;
    let before = organization.object("service", "box").await?;

    organization.apply_inside("McpServer", "box", BOX).await?;
    let server = ["mcpserver", "box", "-n", &organization.namespace];
    organization
        .wait_for_reason(&server, "Stalled", "NameConflict")
        .await?;
    let after = organization.object("service", "box").await?;
    ensure!(
        resource_version(&before) == resource_version(&after),
        "the Service was changed: {after}"
    );

    // Its owner makes room, and the planned one stands there.
    let arguments = ["delete", "service", "box", "-n", &organization.namespace];
    organization.cluster.kubectl(&arguments, "").await?;
    organization
        .wait_for_reason(&server, "Reconciling", "Progressing")
        .await?;
    let planned = organization.object("service", "box").await?;
    ensure!(
        planned["spec"]["selector"]["agentapi.dev/mcp-server"] == "box",
        "the Service is {planned}"
    );
    organization.clean_up().await
}

#[tokio::test]
async fn a_workload_of_the_tenant_under_a_planned_name_is_left_alone() -> Result<()> {
    let organization = with_admin().await?;
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: box}, spec: {replicas: 0, selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: 'registry.example.com/a:1', imagePullPolicy: Always}]}}}}";
    create_as_admin(&organization, deployment).await?;
    organization.apply_inside("McpServer", "box", BOX).await?;
    let server = ["mcpserver", "box", "-n", &organization.namespace];
    organization
        .wait_for_reason(&server, "Stalled", "NameConflict")
        .await?;
    let found = organization.object("deployment", "box").await?;
    ensure!(
        found["spec"]["template"]["spec"]["containers"][0]["name"] == "a"
            && found["metadata"]["labels"]["agentapi.dev/organization"].is_null(),
        "it was adopted: {found}"
    );
    organization.clean_up().await
}

#[tokio::test]
async fn a_forged_document_under_a_planned_name_is_not_adopted() -> Result<()> {
    let organization = Organization::unborn()?;
    let name = format!("tenant-{}", organization.name);
    let create = ["create", "configmap", &name, "-n", "agentapi-tenants"];
    organization
        .cluster
        .kubectl(&[&create[..], &BREAK_GLASS[..]].concat(), "")
        .await?;
    organization.apply("{}").await?;
    let object = ["organization", organization.name.as_str()];
    organization
        .wait_for_reason(&object, "Stalled", "NameConflict")
        .await?;
    let found = organization
        .cluster
        .get(&["configmap", &name, "-n", "agentapi-tenants"])
        .await?;
    ensure!(
        found["data"].is_null() && found["metadata"]["labels"].is_null(),
        "it was adopted: {found}"
    );

    let delete = ["delete", "configmap", &name, "-n", "agentapi-tenants"];
    organization
        .cluster
        .kubectl(&[&delete[..], &BREAK_GLASS[..]].concat(), "")
        .await?;
    organization.wait_for("Ready", "True").await?;
    organization.clean_up().await
}

#[tokio::test]
async fn an_issuer_claimed_twice_speaks_for_the_first_only() -> Result<()> {
    // Of two that were created within one second, the name says which is the earlier.
    let (one, other) = (Organization::unborn()?, Organization::unborn()?);
    let (first, second) = if one.name < other.name {
        (one, other)
    } else {
        (other, one)
    };
    let claim = format!(
        "{{identity: {{issuers: [{{issuer: 'https://{}.example.com', audiences: [agentapi], organizationValue: shared}}]}}}}",
        first.name
    );
    first.apply(&claim).await?;
    first.wait_for("Ready", "True").await?;
    // An organization may also come to claim it later, when it is already served.
    second.apply("{}").await?;
    second.wait_for("Ready", "True").await?;
    second.apply(&claim).await?;
    let object = ["organization", second.name.as_str()];
    second
        .wait_for_reason(&object, "Stalled", "IssuerConflict")
        .await?;
    let served = second.document().await?.identity.issuers;
    ensure!(
        served.is_empty(),
        "the second accepts its tokens: {served:?}"
    );
    let kept = first.document().await?.identity.issuers;
    ensure!(kept.len() == 1, "the first lost its issuer: {kept:?}");
    first.wait_for("Ready", "True").await?;

    // Given up by the first, it is the second's.
    first.apply("{identity: {issuers: []}}").await?;
    second.wait_for("Ready", "True").await?;
    let served = second.document().await?.identity.issuers;
    ensure!(served.len() == 1, "the second did not get it: {served:?}");
    first.clean_up().await?;
    second.clean_up().await
}

#[tokio::test]
async fn a_secret_is_sent_to_no_host_but_those_it_allows() -> Result<()> {
    let organization = with_admin().await?;
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: token, labels: {agentapi.dev/use: credential}, annotations: {agentapi.dev/allowed-hosts: good.example.com}}, stringData: {value: secret}}";
    create_as_admin(&organization, secret).await?;
    let server = |host: &str| {
        format!(
            "{{remote: {{url: 'https://{host}/mcp'}}, auth: {{bearer: {{secretRef: {{name: token}}}}}}}}"
        )
    };
    for (name, host) in [
        ("foreign", "evil.example.com"),
        ("lookalike", "good.example.com.evil.example.com"),
        ("subdomain", "sub.good.example.com"),
        ("good", "good.example.com"),
    ] {
        organization
            .apply_inside("McpServer", name, &server(host))
            .await?;
    }
    for foreign in ["foreign", "lookalike", "subdomain"] {
        let object = ["mcpserver", foreign, "-n", &organization.namespace];
        organization
            .wait_for_reason(&object, "Stalled", "SecretUnavailable")
            .await?;
        let found = organization.object("mcpserver", foreign).await?;
        expect_said(
            &found["status"]["conditions"].to_string(),
            "allows good.example.com",
        )?;
    }
    organization.wait_for_servers(&["good"]).await?;

    // A server that is served does not take its credential along to another host.
    organization
        .apply_inside("McpServer", "good", &server("evil.example.com"))
        .await?;
    let object = ["mcpserver", "good", "-n", &organization.namespace];
    organization
        .wait_for_reason(&object, "Stalled", "SecretUnavailable")
        .await?;
    let document = serde_json::to_string(&organization.document().await?)?;
    ensure!(
        !document.contains("evil.example.com"),
        "the document names the foreign host: {document}"
    );
    organization.clean_up().await
}

#[tokio::test]
async fn a_secret_of_another_use_is_never_a_credential() -> Result<()> {
    let organization = with_admin().await?;
    let secret =
        "{apiVersion: v1, kind: Secret, metadata: {name: token}, stringData: {value: secret}}";
    create_as_admin(&organization, secret).await?;
    let server =
        "{remote: {url: 'https://a.example.com/mcp'}, auth: {bearer: {secretRef: {name: token}}}}";
    organization
        .apply_inside("McpServer", "clock", server)
        .await?;
    let object = ["mcpserver", "clock", "-n", &organization.namespace];
    organization
        .wait_for_reason(&object, "Stalled", "SecretUnavailable")
        .await?;
    ensure!(
        !organization
            .exists(
                "role",
                "agentapi-gateway-secrets",
                Some(&organization.namespace)
            )
            .await?,
        "the gateway may read a Secret that is no credential"
    );
    organization.clean_up().await
}

#[tokio::test]
async fn a_service_account_that_administers_its_organization_cannot_act_as_somebody_else()
-> Result<()> {
    let organization = Organization::unborn()?;
    organization
        .apply(&format!(
            "{{admins: [{{kind: ServiceAccount, name: robot, namespace: {}}}]}}",
            organization.namespace
        ))
        .await?;
    organization.wait_for("Ready", "True").await?;
    let place = ["-n", organization.namespace.as_str()];
    organization
        .cluster
        .kubectl(
            &[&["create", "serviceaccount", "robot"][..], &place[..]].concat(),
            "",
        )
        .await?;
    let token = organization
        .cluster
        .kubectl(
            &[&["create", "token", "robot"][..], &place[..]].concat(),
            "",
        )
        .await?;
    let secrets = format!("/api/v1/namespaces/{}/secrets", organization.namespace);
    let own = KubernetesApi::with_token(token.trim(), None).await?;
    let answer = own.send(Method::GET, &secrets, None).await?;
    ensure!(
        answer.code.is_success(),
        "it administers nothing: {}",
        answer.body
    );
    for other in [
        "cluster-admin",
        "system:serviceaccount:agentapi-system:agentapi-operator",
    ] {
        let api = KubernetesApi::with_token(token.trim(), Some(other)).await?;
        let answer = api.send(Method::GET, &secrets, None).await?;
        // Kubernetes 1.36 goes on with the kind of impersonation that was tried.
        expect_said(answer.message(), "robot\" cannot impersonate")?;
    }
    organization.clean_up().await
}
