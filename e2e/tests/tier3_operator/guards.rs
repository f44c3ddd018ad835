//! What the admission policies keep from everybody, administrators included.

use anyhow::Result;

use agentapi_e2e::organization::{Organization, expect_said};

const OPERATOR: &str = "--as=system:serviceaccount:agentapi-system:agentapi-operator";
const OPERATOR_ONLY: &str = "made by the AgentAPI operator";

#[tokio::test]
async fn an_administrator_cannot_change_what_the_operator_made() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let place = ["-n", organization.namespace.as_str()];
    for arguments in [
        &["delete", "networkpolicy", "agentapi-default-deny"][..],
        &[
            "label",
            "resourcequota",
            "agentapi",
            "app.kubernetes.io/managed-by-",
        ],
        &["annotate", "serviceaccount", "agentapi-workload", "a=b"],
    ] {
        let said = organization
            .refused(&[arguments, &place[..]].concat(), "")
            .await?;
        expect_said(&said, OPERATOR_ONLY)?;
    }
    organization.clean_up().await
}

#[tokio::test]
async fn an_administrator_cannot_change_or_delete_the_namespace() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let namespace = organization.namespace.as_str();
    for arguments in [
        &[
            "label",
            "namespace",
            namespace,
            "agentapi.dev/organization-",
        ][..],
        &[
            "label",
            "namespace",
            namespace,
            "pod-security.kubernetes.io/enforce-",
        ],
        &["delete", "namespace", namespace, "--wait=false"],
    ] {
        let said = organization.refused(arguments, "").await?;
        expect_said(
            &said,
            "the namespace of an organization is the AgentAPI operator's",
        )?;
    }
    organization.clean_up().await
}

#[tokio::test]
async fn nobody_makes_a_namespace_that_looks_like_an_organizations() -> Result<()> {
    let organization = Organization::unborn()?;
    let forged = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {}, labels: {{agentapi.dev/organization: x}}}}\n",
        organization.namespace
    );
    let said = organization
        .refused(&["create", "-f", "-"], &forged)
        .await?;
    expect_said(&said, "the namespace of an organization")
}

#[tokio::test]
async fn nobody_but_the_operator_writes_documents() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let map = format!("tenant-{}", organization.name);
    let edit = [
        "annotate",
        "configmap",
        &map,
        "-n",
        "agentapi-tenants",
        "a=b",
    ];
    expect_said(
        &organization.refused(&edit, "").await?,
        "written by the AgentAPI operator only",
    )?;
    let create = [
        "create",
        "configmap",
        "tenant-forged",
        "-n",
        "agentapi-tenants",
    ];
    expect_said(
        &organization.refused(&create, "").await?,
        "written by the AgentAPI operator only",
    )?;
    organization.clean_up().await
}

#[tokio::test]
async fn the_operator_itself_writes_only_objects_labelled_as_its_own() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let unlabelled = [
        "create",
        "service",
        "clusterip",
        "plain",
        "--tcp=80",
        "-n",
        &organization.namespace,
        OPERATOR,
    ];
    let said = organization.refused(&unlabelled, "").await?;
    expect_said(&said, "writes objects labelled as its own only")?;
    organization.clean_up().await
}

#[tokio::test]
async fn the_operator_itself_writes_nothing_in_namespaces_of_others() -> Result<()> {
    let organization = Organization::unborn()?;
    let labelled = "apiVersion: v1\nkind: Service\nmetadata: {name: stray, namespace: kube-system, labels: {app.kubernetes.io/managed-by: agentapi-operator}}\nspec: {ports: [{port: 80}]}\n";
    let said = organization
        .refused(&["create", "-f", "-", OPERATOR], labelled)
        .await?;
    expect_said(&said, "writes in organizations' namespaces only")
}

#[tokio::test]
async fn the_operator_itself_touches_no_namespace_of_others() -> Result<()> {
    let organization = Organization::unborn()?;
    let arguments = [
        "label",
        "namespace",
        "kube-public",
        "agentapi.dev/organization=x",
        OPERATOR,
    ];
    let said = organization.refused(&arguments, "").await?;
    expect_said(&said, "touches namespaces that it made only")
}

#[tokio::test]
async fn the_operator_cannot_hand_out_more_than_it_has() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let labels = "labels: {app.kubernetes.io/managed-by: agentapi-operator}";
    let role = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: more, namespace: {}, {labels}}}\nroleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}\nsubjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: eve}}]\n",
        organization.namespace
    );
    let said = organization
        .refused(&["create", "-f", "-", OPERATOR], &role)
        .await?;
    expect_said(
        &said,
        "attempting to grant RBAC permissions not currently held",
    )?;
    organization.clean_up().await
}
