//! What others change is repaired, and nothing else is written.

use std::collections::BTreeMap;

use agentapi_e2e::eventually::eventually;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

use agentapi_e2e::organization::Organization;

#[tokio::test]
async fn a_deleted_object_comes_back() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    organization
        .break_glass(&["delete", "networkpolicy", "agentapi-default-deny"])
        .await?;
    eventually("the namespace is closed again", async || {
        organization
            .object("networkpolicy", "agentapi-default-deny")
            .await
            .map(drop)
    })
    .await?;
    organization.clean_up().await
}

#[tokio::test]
async fn a_changed_field_is_set_back_and_a_foreign_one_stays() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let enforce = "pod-security.kubernetes.io/enforce";
    organization
        .break_glass(&[
            "label",
            "namespace",
            &organization.namespace,
            "--overwrite",
            &format!("{enforce}=privileged"),
            "foreign=stays",
        ])
        .await?;
    eventually("Pod Security is restricted again", async || {
        let namespace = organization
            .cluster
            .get(&["namespace", &organization.namespace])
            .await?;
        let labels = &namespace["metadata"]["labels"];
        ensure!(
            labels[enforce] == "restricted" && labels["foreign"] == "stays",
            "the labels are {labels}"
        );
        Ok(())
    })
    .await?;
    organization.clean_up().await
}

#[tokio::test]
async fn labels_that_were_taken_away_come_back() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let namespace = organization.namespace.as_str();
    for object in [
        ["networkpolicy", "agentapi-default-deny"],
        ["serviceaccount", "agentapi-workload"],
        ["namespace", namespace],
    ] {
        let labels = [
            "label",
            object[0],
            object[1],
            "app.kubernetes.io/managed-by-",
            "agentapi.dev/organization-uid-",
        ];
        organization.break_glass(&labels).await?;
        eventually("the labels are there again", async || {
            let found = organization.object(object[0], object[1]).await?;
            let labels = &found["metadata"]["labels"];
            ensure!(
                labels["app.kubernetes.io/managed-by"] == "agentapi-operator"
                    && labels["agentapi.dev/organization-uid"].is_string(),
                "the labels of {object:?} are {labels}"
            );
            Ok(())
        })
        .await?;
    }
    organization.clean_up().await
}

#[tokio::test]
async fn a_changed_key_of_a_list_in_a_pod_template_is_set_back() -> Result<()> {
    let organization = Organization::ready("{}").await?;
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
    let protocol = r#"[{"op":"replace","path":"/spec/template/spec/containers/0/ports/0/protocol","value":"UDP"}]"#;
    organization
        .break_glass(&["patch", "deployment", "box", "--type=json", "-p", protocol])
        .await?;
    eventually("the port is TCP's alone", async || {
        let deployment = organization.object("deployment", "box").await?;
        let ports = &deployment["spec"]["template"]["spec"]["containers"][0]["ports"];
        ensure!(
            ports[0]["protocol"] == "TCP" && ports[1].is_null(),
            "the ports are {ports}"
        );
        Ok(())
    })
    .await?;
    organization.clean_up().await
}

#[tokio::test]
async fn what_others_add_to_a_pod_template_is_taken_out() -> Result<()> {
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
    let foreign = r#"[{"op":"add","path":"/spec/template/spec/containers/-","value":{"name":"foreign","image":"foreign:1"}}]"#;
    organization
        .break_glass(&["patch", "deployment", "box", "--type=json", "-p", foreign])
        .await?;
    eventually("the container is gone", async || {
        let deployment = organization.object("deployment", "box").await?;
        let containers = &deployment["spec"]["template"]["spec"]["containers"];
        ensure!(
            containers.as_array().map(Vec::len) == Some(1),
            "the containers are {containers}"
        );
        Ok(())
    })
    .await?;
    organization.clean_up().await
}

#[tokio::test]
async fn a_document_that_was_tampered_with_is_written_anew() -> Result<()> {
    let organization = Organization::ready("{}").await?;
    let before = organization.document().await?;
    let map = format!("tenant-{}", organization.name);
    let patch = r#"{"data":{"tenant.json":"{}"}}"#;
    organization
        .break_glass(&[
            "patch",
            "configmap",
            &map,
            "-n",
            "agentapi-tenants",
            "--type=merge",
            "-p",
            patch,
        ])
        .await?;
    eventually("the document is whole again", async || {
        let after = organization.document().await?;
        ensure!(after == before, "it is {after:?}");
        Ok(())
    })
    .await?;
    organization.clean_up().await
}

#[tokio::test]
async fn a_reconciliation_writes_only_what_changed() -> Result<()> {
    let organization =
        Organization::ready("{quota: {requests.cpu: 1000m, limits.memory: 1024Mi}}").await?;
    let before = versions(&organization).await?;
    organization
        .apply_inside(
            "McpServer",
            "clock",
            "{remote: {url: 'https://clock.example.com/mcp'}}",
        )
        .await?;
    organization.wait_for_servers(&["clock"]).await?;
    let after = versions(&organization).await?;
    ensure!(after == before, "before: {before:?}, after: {after:?}");
    organization.clean_up().await
}

/// Times at which the operator last applied each object of the namespace.
async fn versions(organization: &Organization) -> Result<BTreeMap<String, String>> {
    let kinds = "networkpolicies,resourcequotas,limitranges,serviceaccounts,roles,rolebindings";
    let selector = "app.kubernetes.io/managed-by=agentapi-operator";
    let list = organization
        .cluster
        .get(&[
            kinds,
            "-n",
            &organization.namespace,
            "-l",
            selector,
            "--show-managed-fields",
        ])
        .await?;
    let items = list["items"]
        .as_array()
        .context("kubectl printed no list")?;
    ensure!(!items.is_empty(), "the organization has no objects");
    Ok(items.iter().map(applied_at).collect())
}

fn applied_at(object: &Value) -> (String, String) {
    let entries = object["metadata"]["managedFields"].as_array();
    let ours = entries.and_then(|entries| {
        entries
            .iter()
            .find(|entry| entry["manager"] == "agentapi-operator")
    });
    (
        format!("{} {}", object["kind"], object["metadata"]["name"]),
        format!(
            "{} {}",
            object["metadata"]["uid"],
            ours.unwrap_or(&Value::Null)["time"]
        ),
    )
}
