//! An organization of a test's own on the cluster.

use crate::cluster::Cluster;
use crate::eventually::eventually;
use agentapi_crds::tenant_config::TenantConfig;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use uuid::Uuid;

/// An administrator who is allowed to break what the admission policies protect.
pub const BREAK_GLASS: [&str; 3] = [
    "--as=breaker",
    "--as-group=system:masters",
    "--as-group=agentapi:break-glass",
];

/// An organization with a name that no other test has.
pub struct Organization {
    /// The cluster, as its administrator.
    pub cluster: Cluster,
    /// `metadata.name`.
    pub name: String,
    /// The organization's own namespace.
    pub namespace: String,
}

impl Organization {
    /// A name only; nothing is created.
    pub fn unborn() -> Result<Self> {
        let name = format!("test-{}", &Uuid::new_v4().simple().to_string()[..12]);
        Ok(Self {
            cluster: Cluster::connect()?,
            namespace: format!("org-{name}"),
            name,
        })
    }

    /// An organization with that spec (YAML in flow style), ready.
    pub async fn ready(spec: &str) -> Result<Self> {
        let organization = Self::unborn()?;
        organization.apply(spec).await?;
        organization.wait_for("Ready", "True").await?;
        Ok(organization)
    }

    /// Applies the organization with that spec.
    pub async fn apply(&self, spec: &str) -> Result<()> {
        let manifest = format!(
            "apiVersion: agentapi.dev/v1alpha1\nkind: Organization\nmetadata: {{name: {}}}\nspec: {spec}\n",
            self.name
        );
        self.cluster.apply(&manifest).await
    }

    /// Applies something to the organization's namespace.
    pub async fn apply_inside(&self, kind: &str, name: &str, spec: &str) -> Result<()> {
        let manifest = format!(
            "apiVersion: agentapi.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {}}}\nspec: {spec}\n",
            self.namespace
        );
        self.cluster.apply(&manifest).await
    }

    /// Creates a credential with the key `value`.
    pub async fn create_secret(&self, name: &str) -> Result<()> {
        let manifest = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {}, labels: {{agentapi.dev/use: credential}}}}\nstringData: {{value: secret}}\n",
            self.namespace
        );
        self.cluster.apply(&manifest).await
    }

    /// Waits until a condition of the organization has a status.
    pub async fn wait_for(&self, condition: &str, status: &str) -> Result<()> {
        let object = ["organization", self.name.as_str()];
        self.cluster
            .wait_for_condition(&object, condition, status)
            .await
    }

    /// Waits until a condition of a resource in the namespace has a status and a reason.
    pub async fn wait_for_reason(
        &self,
        object: &[&str],
        condition: &str,
        reason: &str,
    ) -> Result<()> {
        eventually(
            &format!("{} has {condition} {reason}", object.join(" ")),
            async || {
                let found = self.cluster.get(object).await?;
                ensure!(
                    reason_of(&found, condition) == Some(reason),
                    "its status is {}",
                    found["status"]
                );
                Ok(())
            },
        )
        .await
    }

    /// An object of the namespace.
    pub async fn object(&self, kind: &str, name: &str) -> Result<Value> {
        self.cluster.get(&[kind, name, "-n", &self.namespace]).await
    }

    /// Names of all objects of a kind in the namespace.
    pub async fn names(&self, kind: &str) -> Result<Vec<String>> {
        let list = self.cluster.get(&[kind, "-n", &self.namespace]).await?;
        let items = list["items"]
            .as_array()
            .context("kubectl printed no list")?;
        let name = |item: &Value| item["metadata"]["name"].as_str().map(str::to_owned);
        Ok(items.iter().filter_map(name).collect())
    }

    /// The document that the gateway is given, verified.
    pub async fn document(&self) -> Result<TenantConfig> {
        let map = self
            .cluster
            .get(&[
                "configmap",
                &format!("tenant-{}", self.name),
                "-n",
                "agentapi-tenants",
            ])
            .await?;
        let text = map["data"]["tenant.json"]
            .as_str()
            .context("the ConfigMap has no document")?;
        Ok(TenantConfig::read(text)?)
    }

    /// Names of the servers in the document.
    pub async fn served(&self) -> Result<Vec<String>> {
        let document = self.document().await?;
        Ok(document
            .servers
            .into_iter()
            .map(|server| server.name)
            .collect())
    }

    /// Waits until the document has exactly these servers.
    pub async fn wait_for_servers(&self, expected: &[&str]) -> Result<()> {
        eventually(&format!("{} serves {expected:?}", self.name), async || {
            let served = self.served().await?;
            ensure!(served == expected, "it serves {served:?}");
            Ok(())
        })
        .await
    }

    /// Runs kubectl and returns what it complained; fails if it succeeds.
    pub async fn refused(&self, arguments: &[&str], input: &str) -> Result<String> {
        match self.cluster.kubectl(arguments, input).await {
            Ok(printed) => bail!("kubectl {} was allowed: {printed}", arguments.join(" ")),
            Err(error) => Ok(format!("{error:#}")),
        }
    }

    /// Runs kubectl in the namespace past the admission policies.
    pub async fn break_glass(&self, arguments: &[&str]) -> Result<String> {
        let place = ["-n", self.namespace.as_str()];
        self.cluster
            .kubectl(&[&BREAK_GLASS[..], &place[..], arguments].concat(), "")
            .await
    }

    /// Deletes the organization without waiting.
    pub async fn delete(&self) -> Result<()> {
        self.cluster
            .kubectl(&["delete", "organization", &self.name, "--wait=false"], "")
            .await
            .map(drop)
    }

    /// Waits until the organization is gone.
    pub async fn wait_until_gone(&self) -> Result<()> {
        eventually(&format!("organization {} is gone", self.name), async || {
            ensure!(
                !self.exists("organization", &self.name, None).await?,
                "it is still there"
            );
            Ok(())
        })
        .await
    }

    /// Whether an object is there.
    pub async fn exists(&self, kind: &str, name: &str, namespace: Option<&str>) -> Result<bool> {
        let mut arguments = vec!["get", kind, name, "--ignore-not-found", "-o", "name"];
        arguments.extend(namespace.iter().flat_map(|namespace| ["-n", namespace]));
        Ok(!self
            .cluster
            .kubectl(&arguments, "")
            .await?
            .trim()
            .is_empty())
    }

    /// Takes the organization and everything in it away.
    pub async fn clean_up(self) -> Result<()> {
        let patch = r#"{"spec":{"deletionPolicy":"Delete"}}"#;
        let arguments = [
            "patch",
            "organization",
            &self.name,
            "--type=merge",
            "-p",
            patch,
        ];
        self.cluster.kubectl(&arguments, "").await?;
        self.delete().await
    }
}

/// Reason of a condition of an object.
pub fn reason_of<'a>(object: &'a Value, condition: &str) -> Option<&'a str> {
    let conditions = object["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|found| found["type"] == condition)?;
    found["reason"].as_str()
}

/// Fails with what was said unless it contains `expected`.
pub fn expect_said(said: &str, expected: &str) -> Result<()> {
    ensure!(said.contains(expected), "expected `{expected}` in: {said}");
    Ok(())
}
