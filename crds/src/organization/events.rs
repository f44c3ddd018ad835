//! Where an organization's events go.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::rules;
use crate::secret_ref::SecretKeyRef;

/// A webhook that receives signed events (Standard Webhooks).
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct EventSink {
    /// Name of the sink, unique in the organization.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Where events are posted: an absolute http or https URL.
    #[schemars(length(min = 8, max = 1024))]
    #[x_kube(validation = rules::absolute_url())]
    pub url: String,
    /// Signing secret, in the namespace agentapi-credentials: `whsec_` and the base64 text of 24 to 64 bytes; two of them, separated by white space, while one replaces the other.
    pub secret_ref: SecretKeyRef,
    /// Globs of event types, which are the actions of the audit record, for example session.* or tool.call. Empty sends all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub events: Vec<String>,
}
