//! What an organization's own administrators may do, and what not.

use anyhow::Result;

use agentapi_e2e::organization::{Organization, expect_said};

const ALICE: &str = "--as=alice";

async fn with_admin() -> Result<Organization> {
    Organization::ready("{admins: [{kind: User, name: alice}]}").await
}

/// A manifest in the organization's namespace.
fn inside(organization: &Organization, api_version: &str, kind: &str, rest: &str) -> String {
    format!(
        "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: own, namespace: {}}}\n{rest}\n",
        organization.namespace
    )
}

#[tokio::test]
async fn an_admin_manages_servers_prompts_and_credentials() -> Result<()> {
    let organization = with_admin().await?;
    for (api_version, kind, rest) in [
        (
            "agentapi.dev/v1alpha1",
            "McpServer",
            "spec: {remote: {url: 'https://own.example.com'}}",
        ),
        (
            "agentapi.dev/v1alpha1",
            "PromptPolicy",
            "spec: {template: hi}",
        ),
        ("v1", "Secret", "stringData: {value: x}"),
    ] {
        let manifest = inside(&organization, api_version, kind, rest);
        organization
            .cluster
            .kubectl(&["apply", "-f", "-", ALICE], &manifest)
            .await?;
    }
    organization.wait_for_servers(&["own"]).await?;
    organization.clean_up().await
}

#[tokio::test]
async fn an_admin_may_open_traffic_inside_the_namespace_only() -> Result<()> {
    let organization = with_admin().await?;
    let policy = |egress: &str| {
        let spec =
            format!("spec: {{podSelector: {{}}, egress: [{egress}], policyTypes: [Egress]}}");
        inside(
            &organization,
            "networking.k8s.io/v1",
            "NetworkPolicy",
            &spec,
        )
    };
    let apply = ["apply", "-f", "-", ALICE];
    organization
        .cluster
        .kubectl(&apply, &policy("{to: [{podSelector: {}}]}"))
        .await?;
    for wider in [
        "{}",
        "{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}",
        "{to: [{namespaceSelector: {}}]}",
        "{to: [{namespaceSelector: {}, podSelector: {}}]}",
    ] {
        let said = organization.refused(&apply, &policy(wider)).await?;
        expect_said(&said, "opens traffic inside its namespace only")?;
    }
    organization.clean_up().await
}

#[tokio::test]
async fn an_admin_opens_no_service_to_the_outside() -> Result<()> {
    let organization = with_admin().await?;
    let apply = ["apply", "-f", "-", ALICE];
    for (spec, said) in [
        (
            "{type: ExternalName, externalName: example.com}",
            "not of type ExternalName",
        ),
        (
            "{ports: [{port: 80}], externalIPs: [203.0.113.1]}",
            "no externalIPs",
        ),
        (
            "{type: LoadBalancer, ports: [{port: 80}]}",
            "exceeded quota",
        ),
        ("{type: NodePort, ports: [{port: 80}]}", "exceeded quota"),
    ] {
        let manifest = inside(&organization, "v1", "Service", &format!("spec: {spec}"));
        expect_said(&organization.refused(&apply, &manifest).await?, said)?;
    }
    organization.clean_up().await
}

#[tokio::test]
async fn an_admin_gets_no_lasting_token() -> Result<()> {
    let organization = with_admin().await?;
    let manifest = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: own, namespace: {}, annotations: {{kubernetes.io/service-account.name: default}}}}\ntype: kubernetes.io/service-account-token\n",
        organization.namespace
    );
    let said = organization
        .refused(&["create", "-f", "-", ALICE], &manifest)
        .await?;
    expect_said(&said, "no long-lived service-account tokens")?;
    organization.clean_up().await
}

#[tokio::test]
async fn an_admin_cannot_pass_pods_off_as_the_platforms() -> Result<()> {
    let organization = with_admin().await?;
    let pod = "spec: {replicas: 1, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b, agentapi.dev/mcp-server: clock}}, spec: {containers: [{name: a, image: a}]}}}";
    let manifest = inside(&organization, "apps/v1", "Deployment", pod);
    let said = organization
        .refused(&["create", "-f", "-", ALICE], &manifest)
        .await?;
    expect_said(&said, "are for the AgentAPI operator only")?;
    organization.clean_up().await
}

#[tokio::test]
async fn an_admin_has_no_right_beyond_the_allow_list() -> Result<()> {
    let organization = with_admin().await?;
    for (verb, resource) in [
        ("create", "rolebindings.rbac.authorization.k8s.io"),
        ("update", "resourcequotas"),
        ("update", "limitranges"),
        ("create", "endpoints"),
        ("create", "endpointslices.discovery.k8s.io"),
        ("create", "serviceaccounts/token"),
        ("create", "pods/exec"),
        ("create", "pods/portforward"),
        ("update", "mcpservers.agentapi.dev/status"),
        ("create", "ingresses.networking.k8s.io"),
        ("delete", "namespaces"),
        ("patch", "organizations.agentapi.dev"),
    ] {
        // `can-i` would take what follows a slash for the name of an object.
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let subresource = format!("--subresource={subresource}");
        let arguments = [
            "auth",
            "can-i",
            verb,
            resource,
            &subresource,
            "-n",
            &organization.namespace,
            ALICE,
        ];
        // kubectl prints `no` and fails.
        organization.refused(&arguments, "").await?;
    }
    organization.clean_up().await
}

#[tokio::test]
async fn an_admin_has_no_rights_in_another_organization() -> Result<()> {
    let (own, other) = (with_admin().await?, Organization::ready("{}").await?);
    let arguments = ["get", "secrets", "-n", &other.namespace, ALICE];
    expect_said(&own.refused(&arguments, "").await?, "forbidden")?;
    own.clean_up().await?;
    other.clean_up().await
}

#[tokio::test]
async fn a_viewer_sees_servers_but_no_secrets() -> Result<()> {
    let organization = Organization::ready("{viewers: [{kind: User, name: victor}]}").await?;
    let see = |resource: &'static str| {
        let namespace = organization.namespace.clone();
        ["get", resource, "-n", &namespace, "--as=victor"].map(str::to_owned)
    };
    let servers = see("mcpservers");
    let arguments: Vec<_> = servers.iter().map(String::as_str).collect();
    organization.cluster.kubectl(&arguments, "").await?;
    let secrets = see("secrets");
    let arguments: Vec<_> = secrets.iter().map(String::as_str).collect();
    expect_said(&organization.refused(&arguments, "").await?, "forbidden")?;
    organization.clean_up().await
}
