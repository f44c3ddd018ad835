//! Where the attacks take place: the attacker's organization, another one, and
//! a namespace of nobody.

use std::collections::BTreeMap;

use agentapi_e2e::eventually::eventually;
use agentapi_e2e::kubernetes_api::KubernetesApi;
use agentapi_e2e::organization::Organization;
use anyhow::{Context, Result};

use super::row::Attacker;

const SERVER: &str = "{container: {image: 'registry.example.com/box:1', port: 8000}}";
const SERVER_WITH_TOKEN: &str =
    "{remote: {url: 'https://clock.example.com/mcp'}, auth: {bearer: {secretRef: {name: token}}}}";
/// Objects of the tenant's own that permitted counterparts change.
const OWN: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: own}
---
apiVersion: v1
kind: Secret
metadata: {name: unnamed}
---
apiVersion: v1
kind: Service
metadata: {name: own}
spec: {ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: own}
spec: {replicas: 0, selector: {matchLabels: {app: own}}, template: {metadata: {labels: {app: own}}, spec: {containers: [{name: own, image: 'registry.example.com/own:1', imagePullPolicy: Always}]}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: own}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}
";

/// What stands when the first attack is made.
pub(super) struct Stage {
    own: Organization,
    other: Organization,
    unowned: Organization,
    names: BTreeMap<&'static str, String>,
}

impl Stage {
    pub(super) async fn set() -> Result<Self> {
        let own = Organization::unborn()?;
        own.apply(&format!(
            "{{registries: [registry.example.com/], admins: [{{kind: User, name: {}}}], viewers: [{{kind: User, name: {}}}], quota: {{requests.storage: 10Gi, requests.memory: 32Gi}}, containerDefaults: {{defaultRequest: {{cpu: 50m, memory: 64Mi}}, max: {{cpu: '1'}}}}}}",
            user(Attacker::Admin, &own),
            user(Attacker::Viewer, &own),
        ))
        .await?;
        own.wait_for("Ready", "True").await?;
        let other = Organization::ready("{preventDeletion: true}").await?;
        let unowned = Organization::unborn()?;
        unowned
            .cluster
            .kubectl(&["create", "namespace", &unowned.namespace], "")
            .await?;
        for organization in [&own, &other] {
            organization.create_secret("token").await?;
            organization
                .apply_inside("McpServer", "box", SERVER)
                .await?;
        }
        own.apply_inside("McpServer", "clock", SERVER_WITH_TOKEN)
            .await?;
        own.cluster
            .kubectl(&["apply", "-n", &own.namespace, "-f", "-"], OWN)
            .await?;
        own.wait_for_servers(&["box", "clock"]).await?;
        let pod = eventually("the server's workload made its pod", async || {
            let pods = own.names("pods").await?;
            pods.into_iter().next().context("there is none")
        })
        .await?;
        let organization = own.cluster.get(&["organization", &own.name]).await?;
        let uid = organization["metadata"]["uid"].as_str().unwrap_or_default();
        let names = BTreeMap::from([
            ("own", own.namespace.clone()),
            ("other", other.namespace.clone()),
            ("unowned", unowned.namespace.clone()),
            ("organization", own.name.clone()),
            ("otherorganization", other.name.clone()),
            ("uid", uid.to_owned()),
            ("pod", pod),
        ]);
        Ok(Self {
            own,
            other,
            unowned,
            names,
        })
    }

    /// What the names in a row stand for; `name` is the one that nothing has yet.
    pub(super) fn names(&self, number: usize) -> BTreeMap<&'static str, String> {
        let mut names = self.names.clone();
        names.insert("name", format!("{}-{number}", self.own.name));
        names
    }

    /// The user name under which the API server knows an attacker.
    pub(super) fn user(&self, attacker: Attacker) -> String {
        user(attacker, &self.own)
    }

    /// The API server, as an attacker.
    pub(super) async fn api(&self, attacker: Attacker) -> Result<KubernetesApi> {
        let groups: &[&str] = match attacker {
            Attacker::OverPrivileged => &["system:masters"],
            Attacker::Workload | Attacker::Operator | Attacker::Gateway => {
                &["system:serviceaccounts", "system:authenticated"]
            }
            Attacker::Admin | Attacker::Viewer => &[],
        };
        KubernetesApi::as_user(&self.user(attacker), groups).await
    }

    pub(super) async fn clear(self) -> Result<()> {
        self.other
            .apply("{preventDeletion: false, deletionPolicy: Delete}")
            .await?;
        let namespace = self.unowned.namespace.as_str();
        self.unowned
            .cluster
            .kubectl(&["delete", "namespace", namespace, "--wait=false"], "")
            .await?;
        self.own.clean_up().await?;
        self.other.clean_up().await
    }
}

fn user(attacker: Attacker, own: &Organization) -> String {
    match attacker {
        Attacker::Admin => format!("admin-of-{}", own.name),
        Attacker::Viewer => format!("viewer-of-{}", own.name),
        Attacker::OverPrivileged => format!("over-privileged-{}", own.name),
        Attacker::Workload => format!("system:serviceaccount:{}:agentapi-workload", own.namespace),
        Attacker::Operator => "system:serviceaccount:agentapi-system:agentapi-operator".to_owned(),
        Attacker::Gateway => "system:serviceaccount:agentapi-system:agentapi-gateway".to_owned(),
    }
}
