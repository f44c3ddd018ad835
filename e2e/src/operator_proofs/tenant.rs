//! An organization with one of everything, in the states that proofs take it through.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::bare_cluster::{BareCluster, Snapshot, difference};
use crate::eventually::eventually;

/// An organization with a remote, a container and a stdio server and a policy.
const CREATED: &str = r#"
apiVersion: agentapi.dev/v1alpha1
kind: Organization
metadata: {name: NAME}
spec:
  displayName: One
  deletionPolicy: Delete
  admins: [{kind: User, name: alice}]
  quota: {requests.cpu: "2", pods: "20"}
  network: {egress: [{cidr: 203.0.113.0/24, ports: [443]}]}
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: org-NAME, labels: {agentapi.dev/use: credential}}
stringData: {value: secret}
---
apiVersion: agentapi.dev/v1alpha1
kind: McpServer
metadata: {name: clock, namespace: org-NAME}
spec: {remote: {url: "https://clock.example.com/mcp"}, auth: {bearer: {secretRef: {name: token}}}}
---
apiVersion: agentapi.dev/v1alpha1
kind: McpServer
metadata: {name: box, namespace: org-NAME}
spec: {container: {image: "registry.example.com/box:1", port: 8000}}
---
apiVersion: agentapi.dev/v1alpha1
kind: McpServer
metadata: {name: shell, namespace: org-NAME}
spec: {stdio: {image: "registry.example.com/shell:1", command: [shell]}}
---
apiVersion: agentapi.dev/v1alpha1
kind: PromptPolicy
metadata: {name: house, namespace: org-NAME}
spec: {template: "Be brief."}
"#;

/// The same with objects that are changed, new and no longer wanted.
const UPDATED: &str = r#"
apiVersion: agentapi.dev/v1alpha1
kind: Organization
metadata: {name: NAME}
spec:
  displayName: Two
  deletionPolicy: Delete
  viewers: [{kind: User, name: victor}]
  quota: {requests.cpu: "3", pods: "20"}
  network: {allowFrom: [{matchLabels: {team: blue}}]}
---
apiVersion: agentapi.dev/v1alpha1
kind: McpServer
metadata: {name: clock, namespace: org-NAME}
spec: {remote: {url: "https://clock.example.com/new"}}
---
apiVersion: agentapi.dev/v1alpha1
kind: McpServer
metadata: {name: box, namespace: org-NAME}
spec: {container: {image: "registry.example.com/box:2", port: 8001}, replicas: 2}
---
apiVersion: agentapi.dev/v1alpha1
kind: PromptPolicy
metadata: {name: house, namespace: org-NAME}
spec: {template: "Be very brief."}
"#;

/// An organization of a proof.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    /// Its name; its namespace is `org-` and the name.
    pub(crate) name: String,
}

/// A state that an organization is brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It and everything in it was applied.
    Created,
    /// It was changed, and the stdio server deleted.
    Updated,
    /// It was deleted, with its namespace.
    Deleted,
}

impl Phase {
    /// In the order in which an organization goes through them.
    pub(crate) const ALL: [Self; 3] = [Self::Created, Self::Updated, Self::Deleted];
}

impl Tenant {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    fn namespace(&self) -> String {
        format!("org-{}", self.name)
    }

    /// Asks for a state; does not wait for it.
    pub(crate) async fn ask(&self, cluster: &BareCluster, phase: Phase) -> Result<()> {
        match phase {
            Phase::Created => self.apply(cluster, CREATED).await,
            Phase::Updated => {
                self.apply(cluster, UPDATED).await?;
                let servers = cluster.own("McpServer", Some(&self.namespace()))?;
                servers.delete("shell", &Default::default()).await?;
                Ok(())
            }
            Phase::Deleted => {
                let organizations = cluster.own("Organization", None)?;
                organizations
                    .delete(&self.name, &Default::default())
                    .await?;
                Ok(())
            }
        }
    }

    /// Applies one object after the other, each as soon as its namespace is there.
    async fn apply(&self, cluster: &BareCluster, manifests: &str) -> Result<()> {
        let manifests = manifests.replace("NAME", &self.name);
        for object in crate::bare_cluster::documents(&manifests)? {
            eventually("the namespace takes objects", async || {
                cluster.apply_object(&object).await.map(drop)
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until nothing is left to be done for a state: every resource
    /// speaks of its present generation, or is gone.
    pub(crate) async fn wait(&self, cluster: &BareCluster, phase: Phase) -> Result<()> {
        let organizations = cluster.own("Organization", None)?;
        if phase == Phase::Deleted {
            return eventually(&format!("{} is gone", self.name), async || {
                let left = organizations.get_opt(&self.name).await?;
                ensure!(
                    left.is_none(),
                    "it says {}",
                    left.map(|left| left.data["status"].clone())
                        .unwrap_or_default()
                );
                Ok(())
            })
            .await;
        }
        let of_kind = ["McpServer", "PromptPolicy"];
        eventually(&format!("{} is as asked", self.name), async || {
            let mut all = vec![organizations.get(&self.name).await?];
            for kind in of_kind {
                let api = cluster.own(kind, Some(&self.namespace()))?;
                all.extend(api.list(&Default::default()).await?);
            }
            for object in all {
                let name = object.metadata.name.clone().unwrap_or_default();
                ensure!(
                    object.metadata.deletion_timestamp.is_none(),
                    "{name} is not gone"
                );
                let status = &object.data["status"];
                ensure!(
                    status["observedGeneration"].as_i64() == object.metadata.generation,
                    "{name} says {status}"
                );
            }
            let organization = organizations.get(&self.name).await?;
            ensure!(
                is_true(&organization.data, "Ready"),
                "its status is {}",
                organization.data["status"]
            );
            Ok(())
        })
        .await
    }

    /// Waits until everything is as `expected`, object by object.
    pub(crate) async fn wait_until_equal(
        &self,
        cluster: &BareCluster,
        phase: Phase,
        expected: &Snapshot,
    ) -> Result<()> {
        self.wait(cluster, phase).await?;
        eventually(&format!("{phase:?} equals the clean run"), async || {
            let found = cluster.snapshot(&self.name).await?;
            let lines = difference(expected, &found);
            ensure!(lines.is_empty(), "{}", excerpt(&lines));
            Ok(())
        })
        .await
    }

    /// The state once it has stopped changing.
    pub(crate) async fn settled(&self, cluster: &BareCluster) -> Result<Snapshot> {
        eventually("the state stops changing", async || {
            let before = cluster.snapshot(&self.name).await?;
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let now = cluster.snapshot(&self.name).await?;
                let lines = difference(&before, &now);
                ensure!(lines.is_empty(), "{}", excerpt(&lines));
            }
            Ok(before)
        })
        .await
    }
}

/// The first differences, so that an error can be read.
pub(crate) fn excerpt(lines: &[String]) -> String {
    let mut first: Vec<String> = lines
        .iter()
        .take(12)
        .map(|line| line.chars().take(400).collect())
        .collect();
    if lines.len() > first.len() {
        first.push(format!("and {} more", lines.len() - first.len()));
    }
    first.join("\n  ")
}

/// Whether a condition of an object is true.
pub(crate) fn is_true(object: &Value, condition: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|found| found["type"] == condition);
    found.is_some_and(|found| found["status"] == "True")
}
