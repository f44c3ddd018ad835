//! While a deletion cannot be finished, the finalizer stays, a condition says
//! why, and nobody else notices. Afterwards nothing is left.

use agentapi_e2e::eventually::eventually;
use agentapi_e2e::organization::{Organization, expect_said};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::inventory::objects_of;

const BOX: &str = "{container: {image: 'registry.example.com/box:1', port: 8000}}";
const FINALIZER: &str = "agentapi.dev/cleanup";

/// Two organizations with a workload each: one to delete, and its neighbour.
async fn neighbours() -> Result<(Organization, Organization)> {
    let doomed = Organization::ready("{deletionPolicy: Delete}").await?;
    let neighbour = Organization::ready("{}").await?;
    for organization in [&doomed, &neighbour] {
        organization.apply_inside("McpServer", "box", BOX).await?;
        organization.wait_for_servers(&["box"]).await?;
        eventually("the workload made its pod", async || {
            let pods = organization.names("pods").await?;
            ensure!(!pods.is_empty(), "there is no pod");
            Ok(())
        })
        .await?;
    }
    Ok((doomed, neighbour))
}

/// What an organization has, once nothing changes any more.
async fn settled(organization: &Organization) -> Result<Vec<String>> {
    let look = async || objects_of(&organization.cluster, &organization.name).await;
    eventually(&format!("{} settles", organization.name), async || {
        let (before, after) = (look().await?, look().await?);
        ensure!(before == after, "{before:?} became {after:?}");
        Ok(after)
    })
    .await
}

/// Waits until the organization says what its deletion waits for.
async fn wait_until_blocked_by(organization: &Organization, cause: &str) -> Result<()> {
    eventually(
        &format!("the deletion of {} waits for {cause}", organization.name),
        async || {
            let found = organization
                .cluster
                .get(&["organization", &organization.name])
                .await?;
            let conditions = found["status"]["conditions"].as_array();
            let blocked = conditions
                .and_then(|all| all.iter().find(|one| one["type"] == "DeletionBlocked"))
                .context("there is no condition DeletionBlocked")?;
            ensure!(blocked["status"] == "True", "it is {blocked}");
            expect_said(blocked["message"].as_str().unwrap_or_default(), cause)?;
            let finalizers = &found["metadata"]["finalizers"];
            ensure!(
                finalizers
                    .as_array()
                    .is_some_and(|all| all.contains(&Value::from(FINALIZER))),
                "the finalizers are {finalizers}"
            );
            Ok(())
        },
    )
    .await
}

/// Waits until nothing of the organization is left, its namespace included.
async fn wait_until_nothing_is_left(organization: &Organization) -> Result<()> {
    organization.wait_until_gone().await?;
    let left = objects_of(&organization.cluster, &organization.name).await?;
    ensure!(left.is_empty(), "this is left: {left:?}");
    ensure!(
        !organization
            .exists("namespace", &organization.namespace, None)
            .await?,
        "the namespace is left"
    );
    Ok(())
}

/// Deletes one of two organizations while something keeps it from being
/// finished; `free` takes that away.
async fn check(
    (doomed, neighbour): (Organization, Organization),
    cause: &str,
    free: impl AsyncFnOnce(&Organization) -> Result<()>,
) -> Result<()> {
    let before = settled(&neighbour).await?;
    doomed.delete().await?;
    wait_until_blocked_by(&doomed, cause).await?;
    free(&doomed).await?;
    wait_until_nothing_is_left(&doomed).await?;
    let after = objects_of(&neighbour.cluster, &neighbour.name).await?;
    ensure!(
        before == after,
        "the neighbour was touched: {before:?} became {after:?}"
    );
    neighbour.clean_up().await
}

#[tokio::test]
async fn a_finalizer_of_somebody_else_holds_a_deletion_up_and_is_named() -> Result<()> {
    let both = neighbours().await?;
    let held = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: held, namespace: {}, finalizers: [example.com/held]}}\n",
        both.0.namespace
    );
    both.0.cluster.apply(&held).await?;
    check(both, "example.com/held", async |doomed| {
        let patch = r#"{"metadata":{"finalizers":null}}"#;
        let place = ["-n", doomed.namespace.as_str()];
        let arguments = ["patch", "configmap", "held", "--type=merge", "-p", patch];
        doomed
            .cluster
            .kubectl(&[&arguments[..], &place[..]].concat(), "")
            .await
            .map(drop)
    })
    .await
}

#[tokio::test]
async fn a_webhook_that_does_not_answer_holds_a_deletion_up_and_is_named() -> Result<()> {
    let both = neighbours().await?;
    let name = format!("silent-{}", both.0.name);
    // Nothing listens there. Only the doomed namespace is selected.
    let webhook = format!(
        "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: {name}}}
webhooks:
  - name: silent.example.com
    clientConfig: {{url: 'https://127.0.0.1:1/'}}
    rules: [{{apiGroups: [apps], apiVersions: [v1], operations: [DELETE], resources: [deployments]}}]
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {}}}}}
    failurePolicy: Fail
    timeoutSeconds: 1
    sideEffects: None
    admissionReviewVersions: [v1]
",
        both.0.namespace
    );
    both.0.cluster.apply(&webhook).await?;
    check(both, "silent.example.com", async |doomed| {
        let arguments = ["delete", "validatingwebhookconfiguration", &name];
        doomed.cluster.kubectl(&arguments, "").await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_call_that_is_refused_holds_a_deletion_up_and_is_named() -> Result<()> {
    let both = neighbours().await?;
    let name = format!("refusal-{}", both.0.name);
    let policy = format!(
        "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {name}}}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [{{apiGroups: [''], apiVersions: [v1], operations: [DELETE], resources: [configmaps], resourceNames: [tenant-{organization}]}}]
  validations: [{{expression: 'false', message: 'not today'}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {name}}}
spec: {{policyName: {name}, validationActions: [Deny]}}
",
        organization = both.0.name
    );
    both.0.cluster.apply(&policy).await?;
    wait_until_enforced(&both.0).await?;
    check(both, "not today", async |doomed| {
        for kind in [
            "validatingadmissionpolicybinding",
            "validatingadmissionpolicy",
        ] {
            doomed.cluster.kubectl(&["delete", kind, &name], "").await?;
        }
        Ok(())
    })
    .await
}

/// A new policy takes the API server a moment.
async fn wait_until_enforced(doomed: &Organization) -> Result<()> {
    let map = format!("tenant-{}", doomed.name);
    let attempt = [
        "delete",
        "configmap",
        &map,
        "-n",
        "agentapi-tenants",
        "--dry-run=server",
        "--as=system:serviceaccount:agentapi-system:agentapi-operator",
    ];
    eventually("the policy refuses", async || {
        let said = doomed.refused(&attempt, "").await?;
        expect_said(&said, "not today")
    })
    .await
}

#[tokio::test]
async fn a_paused_server_of_the_tenant_does_not_hold_a_deletion_up() -> Result<()> {
    let (doomed, neighbour) = neighbours().await?;
    let annotate = ["annotate", "mcpserver", "box", "agentapi.dev/paused=true"];
    let place = ["-n", doomed.namespace.as_str()];
    doomed
        .cluster
        .kubectl(&[&annotate[..], &place[..]].concat(), "")
        .await?;
    doomed.delete().await?;
    wait_until_nothing_is_left(&doomed).await?;
    neighbour.clean_up().await
}
