//! An API server with the platform's definitions, rights and admission rules,
//! on which no operator runs until a test starts one.
//!
//! Tests of one program have it one after the other: [`BareCluster::claim`]
//! waits for the one before, and takes away what that left.

mod api_proxy;
mod api_server;
mod operator;
mod snapshot;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use http::{HeaderName, HeaderValue};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::Discovery;
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::eventually::eventually;
use crate::program::setting;

pub use api_proxy::{ApiProxy, Call, Streams, Treatment};
pub use api_server::ApiServer;
pub use operator::{KeptOperator, Operator};
pub use snapshot::{Snapshot, difference};

/// One test at a time has the cluster.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Namespace and service account of the operator, as the chart makes them.
pub const PLATFORM: &str = "agentapi-system";
const OPERATOR: &str = "agentapi-operator";
/// Namespace of the documents.
pub const TENANTS: &str = "agentapi-tenants";
/// Who writes for the tests.
const MANAGER: &str = "test";

/// The cluster, for one test.
pub struct BareCluster {
    /// An administrator in the break-glass group: may change whatever is protected.
    pub admin: Client,
    /// How to reach the API server, without any credential.
    pub config: Config,
    /// Where etcd serves clients.
    pub etcd: String,
    /// The API server's audit log.
    pub audit_log: PathBuf,
    state: PathBuf,
    discovery: Arc<Discovery>,
    _turn: MutexGuard<'static, ()>,
}

/// A credential of the operator's service account.
pub struct Credential {
    /// The bearer.
    pub token: String,
    /// The token's `jti`, by which the audit log tells replicas apart.
    pub id: String,
}

impl BareCluster {
    /// Waits for its turn and takes the cluster, empty of organizations.
    pub async fn claim() -> Result<Self> {
        let turn = ONE_AT_A_TIME.lock().await;
        let state = PathBuf::from(setting("AGENTAPI_TEST_BARE_STATE")?);
        let mut config = administrator(&state).await?;
        let admin = Client::try_from(config.clone())?;
        let discovery = Arc::new(Discovery::new(admin.clone()).run().await?);
        config.auth_info = kube::config::AuthInfo::default();
        config.headers.clear();
        let cluster = Self {
            admin,
            config,
            etcd: setting("AGENTAPI_TEST_BARE_ETCD_URL")?,
            audit_log: state.join("logs/audit.log"),
            state,
            discovery,
            _turn: turn,
        };
        cluster.clean().await?;
        Ok(cluster)
    }

    /// A credential of the operator's service account, different from all others.
    pub async fn credential(&self) -> Result<Credential> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin.clone(), PLATFORM);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(24 * 3600),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(OPERATOR, &PostParams::default(), &request)
            .await?;
        let token = answer.status.context("the token has no status")?.token;
        let id = token_id(&token)?;
        Ok(Credential { token, id })
    }

    /// Starts an operator that reaches the API server at `server`.
    pub async fn operator(&self, server: &str) -> Result<Operator> {
        let credential = self.credential().await?;
        Operator::start(self, server, credential).await
    }

    /// The API server's own address.
    pub fn server(&self) -> String {
        self.config.cluster_url.to_string()
    }

    /// The folder of the control plane's logs.
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// Applies manifests (YAML documents) as an administrator, server-side.
    pub async fn apply(&self, manifests: &str) -> Result<()> {
        for object in documents(manifests)? {
            self.apply_object(&object).await?;
        }
        Ok(())
    }

    /// Applies one manifest.
    pub async fn apply_object(&self, object: &Value) -> Result<DynamicObject> {
        let api = self.api_of(object)?;
        let name = text(object, "/metadata/name")?;
        let parameters = PatchParams::apply(MANAGER).force();
        api.patch(name, &parameters, &Patch::Apply(object))
            .await
            .with_context(|| format!("{} {name} cannot be applied", object["kind"]))
    }

    /// The client of the collection that a manifest belongs to.
    pub fn api_of(&self, object: &Value) -> Result<Api<DynamicObject>> {
        let (group, version) = match text(object, "/apiVersion")?.split_once('/') {
            Some(parts) => parts,
            None => ("", text(object, "/apiVersion")?),
        };
        let kind = GroupVersionKind::gvk(group, version, text(object, "/kind")?);
        let resource = self.resource(&kind)?;
        let namespace = object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str);
        Ok(self.api(&resource, namespace))
    }

    /// The client of the collection of a kind of the platform's own.
    pub fn own(&self, kind: &str, namespace: Option<&str>) -> Result<Api<DynamicObject>> {
        let kind = GroupVersionKind::gvk("agentapi.dev", "v1alpha1", kind);
        Ok(self.api(&self.resource(&kind)?, namespace))
    }

    fn resource(&self, kind: &GroupVersionKind) -> Result<ApiResource> {
        let found = self.discovery.resolve_gvk(kind);
        Ok(found
            .with_context(|| format!("the API server has no {kind:?}"))?
            .0)
    }

    fn api(&self, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.admin.clone(), namespace, resource),
            None => Api::all_with(self.admin.clone(), resource),
        }
    }

    /// The schema of the spec of one of the platform's own kinds, as the API server has it.
    pub async fn spec_schema(&self, kind: &str) -> Result<Value> {
        let definitions =
            GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
        let definitions = self.api(&self.resource(&definitions)?, None);
        let all = definitions.list(&Default::default()).await?;
        let own = all.iter().find(|definition| {
            definition.data["spec"]["names"]["kind"] == kind
                && definition.data["spec"]["group"] == "agentapi.dev"
        });
        let schema = own.and_then(|definition| {
            definition
                .data
                .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
        });
        Ok(schema
            .with_context(|| format!("{kind} has no schema"))?
            .clone())
    }

    /// Forgets who led, so that the next operator need not wait for a dead one's Lease.
    pub async fn drop_lease(&self) -> Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.admin.clone(), PLATFORM);
        absent_is_fine(leases.delete(OPERATOR, &DeleteParams::default()).await)
    }

    /// Takes every organization away, with everything that was made for one.
    async fn clean(&self) -> Result<()> {
        self.drop_lease().await?;
        for kind in ["McpServer", "PromptPolicy", "Organization"] {
            let all = self.own(kind, None)?;
            for object in all.list(&Default::default()).await? {
                let name = object.metadata.name.clone().unwrap_or_default();
                let api = self.own(kind, object.metadata.namespace.as_deref())?;
                let free = json!({"metadata": {"finalizers": null}});
                absent_is_fine(
                    api.patch(&name, &PatchParams::default(), &Patch::Merge(&free))
                        .await,
                )?;
                absent_is_fine(api.delete(&name, &DeleteParams::default()).await)?;
            }
        }
        let core = |kind: &str| self.resource(&GroupVersionKind::gvk("", "v1", kind));
        let documents = self.api(&core("ConfigMap")?, Some(TENANTS));
        for map in documents.list(&ours()).await? {
            let name = map.metadata.name.unwrap_or_default();
            absent_is_fine(documents.delete(&name, &DeleteParams::default()).await)?;
        }
        let namespaces = self.api(&core("Namespace")?, None);
        for namespace in namespaces.list(&tenants()).await? {
            let name = namespace.metadata.name.unwrap_or_default();
            absent_is_fine(namespaces.delete(&name, &DeleteParams::default()).await)?;
        }
        eventually("the namespaces of earlier tests are gone", async || {
            let left = namespaces.list(&tenants()).await?.items.len();
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
        .await
    }
}

fn ours() -> kube::api::ListParams {
    kube::api::ListParams::default().labels("app.kubernetes.io/managed-by=agentapi-operator")
}

fn tenants() -> kube::api::ListParams {
    kube::api::ListParams::default().labels("agentapi.dev/organization")
}

/// An administrator who may change what the admission policies protect.
async fn administrator(state: &std::path::Path) -> Result<Config> {
    let path = state.join("kubeconfig");
    let kubeconfig = Kubeconfig::read_from(&path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    for (name, value) in [
        ("impersonate-user", "breaker"),
        ("impersonate-group", "system:masters"),
        ("impersonate-group", "agentapi:break-glass"),
    ] {
        let pair = (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        config.headers.push(pair);
    }
    Ok(config)
}

/// YAML documents as JSON.
pub fn documents(manifests: &str) -> Result<Vec<Value>> {
    use serde::Deserialize;
    serde_yaml::Deserializer::from_str(manifests)
        .map(|document| Ok(Value::deserialize(document)?))
        .collect()
}

/// A text that an object must have.
pub fn text<'a>(object: &'a Value, pointer: &str) -> Result<&'a str> {
    let found = object.pointer(pointer).and_then(Value::as_str);
    found.with_context(|| format!("{pointer} is missing in {object}"))
}

/// Nothing to do where the object is gone already.
pub fn absent_is_fine<T>(result: Result<T, kube::Error>) -> Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The claim `jti` of a JSON Web Token (RFC 7519, section 4.1.7).
fn token_id(token: &str) -> Result<String> {
    use base64::Engine;
    let payload = token
        .split('.')
        .nth(1)
        .context("the token has no payload")?;
    let payload = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(payload)?;
    let claims: Value = serde_json::from_slice(&payload)?;
    Ok(text(&claims, "/jti")?.to_owned())
}
