//! `Organization`: one tenant of the platform.

mod audit;
mod events;
mod identity;
mod limits;
mod models;
mod network;

pub use audit::{Audit, AuditDurability, AuditRetention};
pub use events::EventSink;
pub use identity::{ClaimPaths, Identity, Issuer, Login, Subject, SubjectKind};
pub use limits::{
    ClassRates, Concurrency, ContainerDefaults, OrganizationRate, Rate, RateLimits, Sessions,
};
pub use models::{
    Budget, BudgetPeriod, Budgets, LongContextRoute, Model, ModelPrices, Models, Provider,
    ProviderCredentials, ProviderType, Routes,
};
pub use network::{EgressRule, NamespaceSelector, Network, SelectorOperator, SelectorRequirement};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::ResourceList;
use crate::rules;

/// What an organization is, and what it may use.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "agentapi.dev",
    version = "v1alpha1",
    kind = "Organization",
    plural = "organizations",
    shortname = "org",
    category = "agentapi",
    status = "OrganizationStatus",
    derive = "PartialEq",
    validation = Rule::new(r#"self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$')"#)
        .message("metadata.name must be a DNS-1123 label of at most 40 characters: the names org-<name> and tenant-<name> are made from it"),
    doc = "A tenant of the platform: a team or customer whose agents use tools, models and prompts, isolated from all others.",
    printcolumn(
        name = "READY",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "REASON",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "NAMESPACE", type_ = "string", json_path = ".status.namespace"),
    printcolumn(name = "SERVERS", type_ = "integer", json_path = ".status.servers"),
    printcolumn(name = "SUSPENDED", type_ = "boolean", json_path = ".spec.suspended"),
    printcolumn(
        name = "AGE",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "MESSAGE",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(
        name = "REVISION",
        type_ = "string",
        json_path = ".status.revision",
        priority = 1
    ),
    printcolumn(
        name = "EGRESS",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"EgressEnforced\")].status",
        priority = 1
    )
)]
#[x_kube(validation = rules::immutable("tenantId", "tenantId", "the database knows the tenant by it"))]
#[x_kube(validation = rules::immutable("namespace", "__namespace__", "everything of the organization lives in it"))]
#[serde(rename_all = "camelCase")]
pub struct OrganizationSpec {
    /// Name for people. Default: the resource's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub display_name: Option<String>,
    /// UUID that the database knows the tenant by, so that a restore can bring it back. Immutable. Default: the resource's UID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 36, max = 36),
        regex(pattern = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
    )]
    pub tenant_id: Option<String>,
    /// The organization's own namespace. Immutable. Default: `org-<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    #[x_kube(validation = Rule::new(r#"!self.matches('^(default|kube-.*|agentapi-.*)$')"#)
    .message("must not be a namespace of Kubernetes or of the platform").reason(Reason::FieldValueForbidden))]
    pub namespace: Option<String>,
    /// Who administers the organization's namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub admins: Vec<Subject>,
    /// Who may look at the organization's namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub viewers: Vec<Subject>,
    /// Whose tokens speak for the organization.
    #[serde(default)]
    pub identity: Identity,
    /// Hard limits of the namespace's ResourceQuota, object counts included, for example requests.cpu or count/pods. Node ports and load balancers are zero unless said.
    #[serde(default, skip_serializing_if = "ResourceList::is_empty")]
    #[schemars(schema_with = "crate::quantity::resource_list_schema")]
    pub quota: ResourceList,
    /// Limits and requests of containers that state none (the namespace's LimitRange).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_defaults: Option<ContainerDefaults>,
    /// Prefixes that images must start with, for example registry.example.com/team/. Empty allows all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 255)))]
    #[x_kube(validation = Rule::new(r#"self.all(r, r.matches('^[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9._/-]*)?$'))"#)
    .message("an image prefix is a registry's host with an optional path, in lower case and without a scheme"))]
    pub registries: Vec<String>,
    /// Secrets of the organization's namespace with which its workloads pull images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub image_pull_secrets: Vec<ImagePullSecret>,
    /// What the organization may reach, and who may reach its workloads.
    #[serde(default, skip_serializing_if = "Network::is_default")]
    pub network: Network,
    /// Bounds on agent sessions.
    #[serde(default)]
    pub sessions: Sessions,
    /// Request rates.
    #[serde(default)]
    pub rate_limits: RateLimits,
    /// Bounds on work under way at one time. Each replica of the gateway admits an equal part.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// Whether users may add MCP servers of their own by the API.
    #[serde(default)]
    pub user_servers: bool,
    /// Models that agents may call, and how they are chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Models>,
    /// How the record of the organization is kept.
    #[serde(default)]
    pub audit: Audit,
    /// Webhooks that receive the organization's events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub event_sinks: Vec<EventSink>,
    /// Refuses every request of the organization while true. Nothing is deleted.
    #[serde(default)]
    pub suspended: bool,
    /// Refuses deletion of the resource while true.
    #[serde(default)]
    pub prevent_deletion: bool,
    /// What happens to the namespace and the database's rows when the resource is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// What the deletion of an `Organization` does to what it holds.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// Namespace and records stay; a platform engineer may take them over again.
    #[default]
    Retain,
    /// Namespace and records are erased.
    Delete,
}

/// A Secret with registry credentials.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ImagePullSecret {
    /// Name of the Secret in the organization's namespace.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
}

/// What the operator observed and applied.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationStatus {
    /// metadata.generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready first; then Reconciling, Stalled, EgressEnforced and others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::conditions::conditions_schema")]
    pub conditions: Vec<Condition>,
    /// The organization's namespace as applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
    /// UUID that the database knows the tenant by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub tenant_id: Option<String>,
    /// How many MCP servers the organization's TenantConfig holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<u32>,
    /// Content hash of the TenantConfig last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub revision: Option<String>,
}
