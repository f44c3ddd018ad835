//! Condition types and reasons of all three kinds.
//!
//! Types follow the Kubernetes API conventions and kstatus (`Reconciling` and
//! `Stalled` are present only while they hold, `Ready` always).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{Schema, SchemaGenerator, json_schema};

/// Condition types.
pub mod types {
    /// The resource does what its spec says.
    pub const READY: &str = "Ready";
    /// The operator is still working towards the spec (kstatus).
    pub const RECONCILING: &str = "Reconciling";
    /// The operator cannot go on without a change by a person (kstatus).
    pub const STALLED: &str = "Stalled";
    /// Declared egress holds for workloads too. False where it names hosts, which NetworkPolicy cannot express.
    pub const EGRESS_ENFORCED: &str = "EgressEnforced";
    /// Whether this version acts on all fields that are set. Absent while it does.
    pub const SUPPORTED: &str = "Supported";
    /// Every event sink can be sent events. Absent where there is none.
    pub const EVENT_SINKS_READY: &str = "EventSinksReady";
    /// Every replica of the gateway serves the organization from the document written last.
    pub const APPLIED: &str = "Applied";
    /// The gateway could list what the server offers. `status.tools` is from the last time it could.
    pub const TOOLS_DISCOVERED: &str = "ToolsDiscovered";
    /// Deletion waits for something that the message names.
    pub const DELETION_BLOCKED: &str = "DeletionBlocked";
}

/// Condition reasons, stable for machines; the message is for people.
pub mod reasons {
    /// Everything is as the spec says.
    pub const RECONCILED: &str = "Reconciled";
    /// Objects have been applied and are not yet as they should be.
    pub const PROGRESSING: &str = "Progressing";
    /// The spec contradicts itself or the cluster in a way that the schema cannot express.
    pub const INVALID_SPEC: &str = "InvalidSpec";
    /// An object with a needed name exists and is not ours: it is never adopted.
    pub const NAME_CONFLICT: &str = "NameConflict";
    /// Another organization already claims the same issuer, audience and value.
    pub const ISSUER_CONFLICT: &str = "IssuerConflict";
    /// A Secret that is named does not exist, or lacks the key, label or type.
    pub const SECRET_UNAVAILABLE: &str = "SecretUnavailable";
    /// The namespace belongs to no organization.
    pub const NO_ORGANIZATION: &str = "NoOrganization";
    /// The API server refused or failed a write; it is tried again.
    pub const APPLY_FAILED: &str = "ApplyFailed";
    /// The organization is suspended by its spec.
    pub const SUSPENDED: &str = "Suspended";
    /// The server is disabled by its spec.
    pub const DISABLED: &str = "Disabled";
    /// Reconciliation is stopped by the annotation `agentapi.dev/paused`.
    pub const PAUSED: &str = "Paused";
    /// The resource is being deleted.
    pub const DELETING: &str = "Deleting";
    /// The spec uses something that this version does not do yet.
    pub const NOT_SUPPORTED: &str = "NotSupported";
    /// The organization's `TenantConfig` would not fit into a ConfigMap.
    pub const CONFIG_TOO_LARGE: &str = "ConfigTooLarge";
    /// Every replica of the gateway serves the present revision.
    pub const APPLIED: &str = "Applied";
    /// Some replica of the gateway does not serve the present revision yet.
    pub const PENDING: &str = "Pending";
    /// The gateway cannot use the document, and goes on with the one before.
    pub const REFUSED: &str = "Refused";
    /// No replica of the gateway answers.
    pub const GATEWAY_UNAVAILABLE: &str = "GatewayUnavailable";
    /// Deletion waits until the gateway has let the organization go.
    pub const GATEWAY_NOT_ACKNOWLEDGED: &str = "GatewayNotAcknowledged";
    /// The gateway listed what the server offers.
    pub const DISCOVERED: &str = "Discovered";
    /// The gateway could not list what the server offers.
    pub const DISCOVERY_FAILED: &str = "DiscoveryFailed";
    /// All declared egress is expressed by NetworkPolicies.
    pub const ENFORCED: &str = "Enforced";
    /// Some declared egress names hosts: only the gateway's own dialling is bound by it.
    pub const HOSTS_NOT_ENFORCED: &str = "HostsNotEnforced";
}

/// The condition of that type, if there is one.
pub fn find<'a>(conditions: &'a [Condition], condition_type: &str) -> Option<&'a Condition> {
    conditions
        .iter()
        .find(|condition| condition.type_ == condition_type)
}

/// Schema of `status.conditions`: a list keyed by `type`, so that several
/// writers may each own their own conditions.
pub(crate) fn conditions_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "description": "One observation of the resource's state.",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {
                    "description": "What is observed, for example Ready.",
                    "type": "string", "minLength": 1, "maxLength": 316
                },
                "status": {
                    "description": "Whether it holds: True, False or Unknown.",
                    "type": "string", "enum": ["True", "False", "Unknown"]
                },
                "observedGeneration": {
                    "description": "metadata.generation that the observation was made for.",
                    "type": "integer", "format": "int64", "minimum": 0
                },
                "lastTransitionTime": {
                    "description": "When the status last changed.",
                    "type": "string", "format": "date-time"
                },
                "reason": {
                    "description": "Why, as one stable word for machines.",
                    "type": "string", "minLength": 1, "maxLength": 1024
                },
                "message": {
                    "description": "Why, and what to do, for people.",
                    "type": "string", "maxLength": 32768
                }
            }
        }
    })
}
