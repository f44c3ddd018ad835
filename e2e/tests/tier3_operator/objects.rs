//! What an organization gets.

use anyhow::{Result, ensure};

use agentapi_e2e::organization::{Organization, expect_said};

#[tokio::test]
async fn an_organization_gets_a_closed_namespace_with_quota_and_access() -> Result<()> {
    let organization = Organization::ready("{admins: [{kind: User, name: alice}]}").await?;

    let namespace = organization
        .cluster
        .get(&["namespace", &organization.namespace])
        .await?;
    let enforced = &namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
    ensure!(enforced == "restricted", "Pod Security enforces {enforced}");
    let policies = organization.names("networkpolicies").await?;
    let expected = [
        "agentapi-allow-dns",
        "agentapi-allow-from-gateway",
        "agentapi-allow-gateway",
        "agentapi-default-deny",
    ];
    ensure!(policies == expected, "the NetworkPolicies are {policies:?}");
    let quota = organization.object("resourcequota", "agentapi").await?;
    ensure!(
        quota["spec"]["hard"]["services.loadbalancers"] == "0",
        "the quota is {}",
        quota["spec"]
    );
    ensure!(
        organization
            .exists("limitrange", "agentapi", Some(&organization.namespace))
            .await?,
        "no LimitRange"
    );
    let account = organization
        .object("serviceaccount", "agentapi-workload")
        .await?;
    ensure!(
        account["automountServiceAccountToken"] == false,
        "the service account mounts its token"
    );
    let binding = organization
        .object("rolebinding", "agentapi-tenant-admin")
        .await?;
    ensure!(
        binding["subjects"][0]["name"] == "alice",
        "the admins are {}",
        binding["subjects"]
    );
    let document = organization.document().await?;
    ensure!(
        document.namespace == organization.namespace,
        "the document is about {}",
        document.namespace
    );

    organization.clean_up().await
}

#[tokio::test]
async fn an_organization_tells_its_story_in_one_line() -> Result<()> {
    let organization =
        Organization::ready("{network: {egress: [{host: api.example.com}]}}").await?;
    let line = organization
        .cluster
        .kubectl(
            &[
                "get",
                "org",
                &organization.name,
                "-o",
                "wide",
                "--no-headers",
            ],
            "",
        )
        .await?;
    let columns: Vec<_> = line.split_whitespace().take(6).collect();
    let expected = [
        &organization.name,
        "True",
        "Reconciled",
        &organization.namespace,
        "0",
        "false",
    ];
    ensure!(columns == expected, "the line is {line}");
    expect_said(&line, "False")?;
    organization.clean_up().await
}

#[tokio::test]
async fn a_container_becomes_a_workload_that_waits_for_a_node() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization
        .apply_inside(
            "McpServer",
            "box",
            "{container: {image: 'registry.example.com/box:1', port: 8000}}",
        )
        .await?;
    let server = ["mcpserver", "box", "-n", &organization.namespace];
    organization
        .wait_for_reason(&server, "Reconciling", "Progressing")
        .await?;
    organization.wait_for_servers(&["box"]).await?;
    let deployment = organization.object("deployment", "box").await?;
    let security = &deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"];
    ensure!(
        security["readOnlyRootFilesystem"] == true,
        "the container's security is {security}"
    );
    let service = organization.object("service", "box").await?;
    ensure!(
        service["spec"]["ports"][0]["port"] == 8000,
        "the Service is {}",
        service["spec"]
    );
    organization.clean_up().await
}

#[tokio::test]
async fn the_api_server_admits_the_pods_of_a_workload_under_pod_security() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization
        .apply_inside(
            "McpServer",
            "box",
            "{container: {image: 'registry.example.com/box:1', port: 8000}}",
        )
        .await?;
    agentapi_e2e::eventually::eventually("the ReplicaSet made its pod", async || {
        let pods = organization.names("pods").await?;
        ensure!(pods.len() == 1, "the pods are {pods:?}");
        Ok(())
    })
    .await?;
    organization.clean_up().await
}

#[tokio::test]
async fn a_namespace_of_somebody_else_is_refused_and_left_alone() -> Result<()> {
    let organization = Organization::unborn()?;
    organization
        .cluster
        .kubectl(&["create", "namespace", &organization.namespace], "")
        .await?;
    organization.apply("{}").await?;
    let object = ["organization", organization.name.as_str()];
    organization
        .wait_for_reason(&object, "Stalled", "NameConflict")
        .await?;

    let namespace = organization
        .cluster
        .get(&["namespace", &organization.namespace])
        .await?;
    let labels = &namespace["metadata"]["labels"];
    ensure!(
        labels["agentapi.dev/organization"].is_null(),
        "it was adopted: {labels}"
    );
    let document = format!("tenant-{}", organization.name);
    ensure!(
        !organization
            .exists("configmap", &document, Some("agentapi-tenants"))
            .await?,
        "it is served"
    );

    organization.delete().await?;
    organization.wait_until_gone().await?;
    organization
        .cluster
        .kubectl(
            &[
                "delete",
                "namespace",
                &organization.namespace,
                "--wait=false",
            ],
            "",
        )
        .await
        .map(drop)
}

#[tokio::test]
async fn a_server_in_a_namespace_of_nobody_is_told_so() -> Result<()> {
    let organization = Organization::unborn()?;
    organization
        .cluster
        .kubectl(&["create", "namespace", &organization.namespace], "")
        .await?;
    organization
        .apply_inside(
            "McpServer",
            "lost",
            "{remote: {url: 'https://lost.example.com/mcp'}}",
        )
        .await?;
    let server = ["mcpserver", "lost", "-n", &organization.namespace];
    organization
        .wait_for_reason(&server, "Stalled", "NoOrganization")
        .await?;
    organization
        .cluster
        .kubectl(
            &[
                "delete",
                "namespace",
                &organization.namespace,
                "--wait=false",
            ],
            "",
        )
        .await
        .map(drop)
}
