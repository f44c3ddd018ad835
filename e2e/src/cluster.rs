//! The cluster that `cargo xtask test` runs, spoken to as its administrator would: with kubectl.

use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::eventually::eventually;
use crate::program::setting;

/// kubectl with the rights of the cluster's administrator.
pub struct Cluster {
    kubectl: String,
    kubeconfig: String,
    /// Address of the gateway.
    pub gateway: String,
}

impl Cluster {
    /// The cluster of this test run.
    pub fn connect() -> Result<Self> {
        Ok(Self {
            kubectl: setting("AGENTAPI_TEST_KUBECTL")?,
            kubeconfig: setting("AGENTAPI_TEST_KUBECONFIG")?,
            gateway: setting("AGENTAPI_TEST_GATEWAY_URL")?,
        })
    }

    /// Runs kubectl and returns what it printed; fails with what it complained.
    pub async fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut child = Command::new(&self.kubectl)
            .args(["--kubeconfig", &self.kubeconfig])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} could not be started", self.kubectl))?;
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(input.as_bytes()).await?;
        }
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            bail!(
                "kubectl {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Applies manifests as `kubectl apply` does.
    pub async fn apply(&self, manifests: &str) -> Result<()> {
        self.kubectl(&["apply", "-f", "-"], manifests)
            .await
            .map(drop)
    }

    /// One object.
    pub async fn get(&self, arguments: &[&str]) -> Result<Value> {
        let printed = self
            .kubectl(&[&["get", "-o", "json"], arguments].concat(), "")
            .await?;
        Ok(serde_json::from_str(&printed)?)
    }

    /// Waits until a condition of an object has a status.
    pub async fn wait_for_condition(
        &self,
        object: &[&str],
        condition: &str,
        status: &str,
    ) -> Result<()> {
        eventually(
            &format!("{} has {condition}={status}", object.join(" ")),
            async || {
                let object = self.get(object).await?;
                let conditions = object["status"]["conditions"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let found = conditions.iter().find(|found| found["type"] == condition);
                ensure!(
                    found.is_some_and(|found| found["status"] == status),
                    "its status is {}",
                    object["status"]
                );
                Ok(())
            },
        )
        .await
    }
}
