//! Every case of every CEL rule, through the real API server with strict field
//! validation: it must agree with what `agentapi_crds::admission` says offline.

use std::path::Path;

use agentapi_crds::rule_cases::{self, RuleCase, Verdict};
use agentapi_e2e::program::setting;
use anyhow::{Context, Result, bail};
use http::{Method, Request};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

const NAMESPACE: &str = "rule-cases";

struct ApiServer {
    client: Client,
}

impl ApiServer {
    async fn connect() -> Result<Self> {
        let kubeconfig = Kubeconfig::read_from(setting("AGENTAPI_TEST_KUBECONFIG")?)?;
        let config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self {
            client: Client::try_from(config)?,
        })
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value, kube::Error> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(serde_json::to_vec(body).map_err(kube::Error::SerdeError)?)
            .map_err(kube::Error::HttpError)?;
        self.client.request(request).await
    }

    /// What the API server says of a case, without keeping the object.
    async fn judge(&self, case: &RuleCase, number: usize) -> Result<Result<(), String>> {
        let path = collection(&case.kind)?;
        let strict = "dryRun=All&fieldValidation=Strict";
        let mut object = placed(&case.object, &case.kind);
        let judged = match &case.old {
            None => {
                self.send(Method::POST, &format!("{path}?{strict}"), &object)
                    .await
            }
            Some(old) => {
                // The one before must really be there, under a name of its own.
                let name = format!("rule-case-{number}");
                let mut old = placed(old, &case.kind);
                old["metadata"]["name"] = json!(name);
                old["metadata"]["annotations"] = json!({ "agentapi.dev/paused": "true" });
                let created = self
                    .send(Method::POST, &path, &old)
                    .await
                    .context("the object before the update")?;
                object["metadata"]["name"] = json!(name);
                object["metadata"]["resourceVersion"] =
                    created["metadata"]["resourceVersion"].clone();
                let judged = self
                    .send(Method::PUT, &format!("{path}/{name}?{strict}"), &object)
                    .await;
                self.send(Method::DELETE, &format!("{path}/{name}"), &json!({}))
                    .await?;
                judged
            }
        };
        match judged {
            Ok(_) => Ok(Ok(())),
            Err(kube::Error::Api(status)) => Ok(Err(status.message.clone())),
            Err(error) => Err(error.into()),
        }
    }
}

fn collection(kind: &str) -> Result<String> {
    let group = "/apis/agentapi.dev/v1alpha1";
    Ok(match kind {
        "Organization" => format!("{group}/organizations"),
        "McpServer" => format!("{group}/namespaces/{NAMESPACE}/mcpservers"),
        "PromptPolicy" => format!("{group}/namespaces/{NAMESPACE}/promptpolicies"),
        other => bail!("a case has the unknown kind {other}"),
    })
}

fn placed(object: &Value, kind: &str) -> Value {
    let mut object = object.clone();
    if kind != "Organization" {
        object["metadata"]["namespace"] = json!(NAMESPACE);
    }
    object
}

/// Why the verdict is not the expected one, if it is not.
fn disagreement(case: &RuleCase, judged: &Result<(), String>) -> Option<String> {
    match (case.verdict, judged) {
        (Verdict::Accept, Ok(())) => None,
        (Verdict::Accept, Err(message)) => Some(format!("{}: rejected: {message}", case.name)),
        (Verdict::Reject, Ok(())) => Some(format!("{}: accepted", case.name)),
        (Verdict::Reject, Err(message)) if message.contains(&case.rule) => None,
        (Verdict::Reject, Err(message)) => Some(format!(
            "{}: rejected by something else: {message}",
            case.name
        )),
    }
}

#[tokio::test]
async fn the_api_server_agrees_with_every_rule_case() -> Result<()> {
    let server = ApiServer::connect().await?;
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    match server
        .send(Method::POST, "/api/v1/namespaces", &namespace)
        .await
    {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(error) => return Err(error.into()),
    }
    let cases =
        rule_cases::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/tests/cases"))?;
    assert!(!cases.is_empty(), "no case was found in crds/tests/cases");
    let mut disagreements = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        disagreements.extend(disagreement(case, &server.judge(case, number).await?));
    }
    assert!(
        disagreements.is_empty(),
        "{} of {} cases:\n{}",
        disagreements.len(),
        cases.len(),
        disagreements.join("\n")
    );
    Ok(())
}
