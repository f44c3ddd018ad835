//! Kubernetes objects as plans produce them: the closed list of kinds that the
//! operator writes, and manifests that carry its labels.

use std::collections::BTreeMap;

use agentapi_crds::names;
use kube::core::{ApiResource, GroupVersionKind};
use serde::Serialize;
use serde_json::{Value, json};

/// Every kind of object that the operator writes, besides the status of its own resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `v1` Namespace.
    Namespace,
    /// `networking.k8s.io/v1` NetworkPolicy.
    NetworkPolicy,
    /// `v1` ResourceQuota.
    ResourceQuota,
    /// `v1` LimitRange.
    LimitRange,
    /// `v1` ServiceAccount.
    ServiceAccount,
    /// `rbac.authorization.k8s.io/v1` Role.
    Role,
    /// `rbac.authorization.k8s.io/v1` RoleBinding.
    RoleBinding,
    /// `v1` Service.
    Service,
    /// `apps/v1` Deployment.
    Deployment,
    /// `v1` ConfigMap.
    ConfigMap,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Namespace,
        Self::NetworkPolicy,
        Self::ResourceQuota,
        Self::LimitRange,
        Self::ServiceAccount,
        Self::Role,
        Self::RoleBinding,
        Self::Service,
        Self::Deployment,
        Self::ConfigMap,
    ];

    /// Kinds made for one `McpServer`.
    pub const WORKLOAD: [Self; 2] = [Self::Deployment, Self::Service];

    /// The kind's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::ResourceQuota => "ResourceQuota",
            Self::LimitRange => "LimitRange",
            Self::ServiceAccount => "ServiceAccount",
            Self::Role => "Role",
            Self::RoleBinding => "RoleBinding",
            Self::Service => "Service",
            Self::Deployment => "Deployment",
            Self::ConfigMap => "ConfigMap",
        }
    }

    /// The kind's plural in URLs and RBAC rules.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::NetworkPolicy => "networkpolicies",
            Self::ResourceQuota => "resourcequotas",
            Self::LimitRange => "limitranges",
            Self::ServiceAccount => "serviceaccounts",
            Self::Role => "roles",
            Self::RoleBinding => "rolebindings",
            Self::Service => "services",
            Self::Deployment => "deployments",
            Self::ConfigMap => "configmaps",
        }
    }

    /// The kind's API group; empty for the core group.
    pub fn group(self) -> &'static str {
        match self {
            Self::NetworkPolicy => "networking.k8s.io",
            Self::Role | Self::RoleBinding => "rbac.authorization.k8s.io",
            Self::Deployment => "apps",
            _ => "",
        }
    }

    /// The resource under which a client reaches objects of this kind.
    pub fn api_resource(self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group(), "v1", self.name());
        ApiResource::from_gvk_with_plural(&kind, self.plural())
    }
}

/// What an object belongs to; becomes its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Name of the `Organization`.
    pub organization: String,
    /// UID of the `Organization`.
    pub uid: String,
    /// The `McpServer` that the object was made for, if it was made for one.
    pub server: Option<ServerOwner>,
}

/// The `McpServer` that an object was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOwner {
    /// Name of the `McpServer`.
    pub name: String,
    /// UID of the `McpServer`; absent outside of a cluster.
    pub uid: Option<String>,
}

impl Owner {
    /// Labels of everything that belongs to this owner.
    pub fn labels(&self) -> BTreeMap<&'static str, String> {
        let mut labels = BTreeMap::from([
            (names::MANAGED_BY_LABEL, names::MANAGER.to_owned()),
            (names::ORGANIZATION_LABEL, self.organization.clone()),
            (names::ORGANIZATION_UID_LABEL, self.uid.clone()),
        ]);
        if let Some(server) = &self.server {
            labels.insert(names::SERVER_LABEL, server.name.clone());
        }
        labels
    }

    /// Label selector of everything that belongs to this owner.
    pub fn selector(&self) -> String {
        let terms: Vec<_> = self
            .labels()
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        terms.join(",")
    }

    /// An object of this owner. `content` is everything beside apiVersion, kind and metadata.
    pub fn object(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
        content: Value,
    ) -> Object {
        let resource = kind.api_resource();
        let mut metadata = json!({"name": name, "labels": self.labels()});
        if let Some(namespace) = namespace {
            metadata["namespace"] = json!(namespace);
        }
        if let Some(ServerOwner {
            name,
            uid: Some(uid),
        }) = &self.server
        {
            metadata["ownerReferences"] = json!([{
                "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
                "kind": "McpServer",
                "name": name,
                "uid": uid,
                "controller": true,
            }]);
        }
        let mut manifest = content;
        manifest["apiVersion"] = json!(resource.api_version);
        manifest["kind"] = json!(resource.kind);
        manifest["metadata"] = metadata;
        Object {
            kind,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            owner: self.clone(),
            manifest,
        }
    }
}

/// One object as the operator wants it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Object {
    /// Kind of the object.
    #[serde(skip)]
    pub kind: Kind,
    /// Namespace; none for cluster-scoped kinds.
    #[serde(skip)]
    pub namespace: Option<String>,
    /// Name of the object.
    #[serde(skip)]
    pub name: String,
    /// Whom the object belongs to.
    #[serde(skip)]
    pub owner: Owner,
    /// The manifest, labels included.
    pub manifest: Value,
}

impl Object {
    /// The object with a further label.
    pub fn with_label(mut self, key: &str, value: &str) -> Self {
        self.manifest["metadata"]["labels"][key] = json!(value);
        self
    }

    /// The object with an annotation.
    pub fn with_annotation(mut self, key: &str, value: &str) -> Self {
        self.manifest["metadata"]["annotations"][key] = json!(value);
        self
    }

    /// `Kind namespace/name`, for people.
    pub fn title(&self) -> String {
        title(self.kind, self.namespace.as_deref(), &self.name)
    }
}

/// `Kind namespace/name`, for people.
pub(crate) fn title(kind: Kind, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{} {namespace}/{name}", kind.name()),
        None => format!("{} {name}", kind.name()),
    }
}
