//! Every name, label and annotation that the platform's programs agree on.
//!
//! Derived names are injective: two organizations can never share a namespace
//! or a configuration document by default, because each is a fixed prefix and
//! the organization's own (cluster-unique) name.

/// API group of all resources.
pub const GROUP: &str = "agentapi.dev";
/// API version of all resources.
pub const VERSION: &str = "v1alpha1";

/// Namespace in which only the operator writes: one ConfigMap per organization.
pub const TENANTS_NAMESPACE: &str = "agentapi-tenants";
/// Namespace in which an `Organization`'s `secretRef`s resolve; no tenant has rights there.
pub const CREDENTIALS_NAMESPACE: &str = "agentapi-credentials";
/// Namespace of the operator and the gateway unless `AGENTAPI_PLATFORM_NAMESPACE` says otherwise.
pub const DEFAULT_PLATFORM_NAMESPACE: &str = "agentapi-system";

/// Audience of service accounts' tokens that the gateway accepts from agents.
pub const SERVICE_ACCOUNT_AUDIENCE: &str = "agentapi";
/// Audience of the operator's tokens for the gateway's internal API.
pub const INTERNAL_AUDIENCE: &str = "agentapi-internal";
/// Service account of the operator, in the platform's namespace.
pub const OPERATOR_SERVICE_ACCOUNT: &str = "agentapi-operator";
/// Service in the platform's namespace whose endpoints are the gateway's replicas.
pub const GATEWAY_INTERNAL_SERVICE: &str = "agentapi-gateway-internal";

/// Label on everything the operator writes; value [`MANAGER`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`], and field manager of the operator's applies.
pub const MANAGER: &str = "agentapi-operator";
/// Field manager of status writes, apart from [`MANAGER`] so that neither drops the other's fields.
pub const STATUS_MANAGER: &str = "agentapi-operator-status";
/// Label naming the organization an object belongs to.
pub const ORGANIZATION_LABEL: &str = "agentapi.dev/organization";
/// Label with the UID of the `Organization` an object was made for. Pruning
/// compares it, so that a recreated organization never deletes another's objects.
pub const ORGANIZATION_UID_LABEL: &str = "agentapi.dev/organization-uid";
/// Label naming the `McpServer` an object was made for.
pub const SERVER_LABEL: &str = "agentapi.dev/mcp-server";
/// Label that a Secret must carry (value [`USE_CREDENTIAL`]) before a `secretRef` may name it.
pub const USE_LABEL: &str = "agentapi.dev/use";
/// Value of [`USE_LABEL`].
pub const USE_CREDENTIAL: &str = "credential";
/// Label of a `TenantConfig` ConfigMap; value `true`.
pub const TENANT_CONFIG_LABEL: &str = "agentapi.dev/tenant-config";
/// Annotation of a Secret: comma-separated hosts that its value may be sent to.
pub const ALLOWED_HOSTS_ANNOTATION: &str = "agentapi.dev/allowed-hosts";
/// Annotation that stops the reconciliation of one resource while it is `true`.
pub const PAUSED_ANNOTATION: &str = "agentapi.dev/paused";
/// Label of an organization's namespace: the `tenantId` whose data is in it. A
/// retained namespace is taken over by an organization of the same one only.
pub const TENANT_ID_LABEL: &str = "agentapi.dev/tenant-id";
/// Annotation of an `Organization` that lets it take over the retained
/// namespace that the value names.
pub const TAKE_OVER_ANNOTATION: &str = "agentapi.dev/take-over";
/// Annotation of an organization's namespace: comma-separated prefixes that the
/// images of its pods must have. Admission reads it; without it all are allowed.
pub const REGISTRIES_ANNOTATION: &str = "agentapi.dev/registries";
/// Annotation of an `Organization`: while it is `true`, its deletion does not
/// wait until the gateway has let it go.
pub const SKIP_GATEWAY_ANNOTATION: &str = "agentapi.dev/skip-gateway";
/// Annotation with the hash of what the operator last applied.
pub const APPLIED_HASH_ANNOTATION: &str = "agentapi.dev/applied-hash";
/// Finalizer of all three kinds.
pub const FINALIZER: &str = "agentapi.dev/cleanup";

/// Key of the document inside a `TenantConfig` ConfigMap.
pub const TENANT_CONFIG_KEY: &str = "tenant.json";

/// The namespace of an organization that names none: `org-<name>`.
pub fn default_namespace(organization: &str) -> String {
    format!("org-{organization}")
}

/// The name of an organization's `TenantConfig` ConfigMap: `tenant-<name>`.
pub fn tenant_config_map(organization: &str) -> String {
    format!("tenant-{organization}")
}
