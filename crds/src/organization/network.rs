//! What an organization may reach, and who may reach its workloads.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What an organization may reach, and who may reach its workloads.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Destinations permitted besides DNS and the gateway. Metadata addresses are never permitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub egress: Vec<EgressRule>,
    /// Namespaces whose pods may connect to the organization's workloads, besides the gateway's. Pods of the organization's own namespace reach each other only when it is selected here too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub allow_from: Vec<NamespaceSelector>,
}

impl Network {
    /// Whether nothing was declared.
    pub fn is_default(&self) -> bool {
        self.egress.is_empty() && self.allow_from.is_empty()
    }
}

/// One permitted destination: addresses or a host.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"has(self.cidr) != has(self.host)"#)
    .message("exactly one of cidr and host is required"))]
#[serde(rename_all = "camelCase")]
pub struct EgressRule {
    /// Permitted addresses, for example 203.0.113.0/24. Binds the gateway and the organization's workloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 4, max = 43))]
    #[x_kube(validation = Rule::new(r#"isCIDR(self) && !self.matches('(^|[.])0[0-9]')"#)
    .message("must be a range of addresses, for example 203.0.113.0/24 or 2001:db8::/32"))]
    pub cidr: Option<String>,
    /// Permitted host name, or *. and a suffix. Binds the gateway's own dialling only: NetworkPolicy cannot express names, and the condition EgressEnforced says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(
            pattern = r"^(\*\.)?([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
        )
    )]
    #[x_kube(validation = Rule::new(r#"!isIP(self) && !self.matches('^[0-9.]+$')"#)
    .message("must be a host name; an address goes into cidr, for example 203.0.113.7/32"))]
    pub host: Option<String>,
    /// Permitted TCP ports. Empty permits all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(range(min = 1, max = 65535)))]
    pub ports: Vec<u16>,
}

/// Namespaces by their labels; all that is stated must hold.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"(has(self.matchLabels) && self.matchLabels.size() > 0) || (has(self.matchExpressions) && self.matchExpressions.size() > 0)"#)
    .message("an empty selector would admit every namespace: state matchLabels or matchExpressions"))]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels that a namespace must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "match_labels_schema")]
    pub match_labels: BTreeMap<String, String>,
    /// Conditions on a namespace's labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub match_expressions: Vec<SelectorRequirement>,
}

/// One condition on labels.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = Rule::new(r#"(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)"#)
    .message("In and NotIn need values, Exists and DoesNotExist have none").field_path(".values"))]
#[serde(rename_all = "camelCase")]
pub struct SelectorRequirement {
    /// Label that the condition is about.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// How the label's value relates to the values.
    pub operator: SelectorOperator,
    /// Values for In and NotIn; none for Exists and DoesNotExist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63)))]
    pub values: Vec<String>,
}

/// How a label's value relates to a list of values.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectorOperator {
    /// The value is one of those listed.
    In,
    /// The value is none of those listed, or there is no such label.
    NotIn,
    /// There is such a label.
    Exists,
    /// There is no such label.
    DoesNotExist,
}

impl From<&NamespaceSelector> for LabelSelector {
    fn from(selector: &NamespaceSelector) -> Self {
        let expressions = selector
            .match_expressions
            .iter()
            .map(LabelSelectorRequirement::from);
        Self {
            match_labels: (!selector.match_labels.is_empty())
                .then(|| selector.match_labels.clone()),
            match_expressions: (!selector.match_expressions.is_empty())
                .then(|| expressions.collect()),
        }
    }
}

impl From<&SelectorRequirement> for LabelSelectorRequirement {
    fn from(requirement: &SelectorRequirement) -> Self {
        let operator = match requirement.operator {
            SelectorOperator::In => "In",
            SelectorOperator::NotIn => "NotIn",
            SelectorOperator::Exists => "Exists",
            SelectorOperator::DoesNotExist => "DoesNotExist",
        };
        Self {
            key: requirement.key.clone(),
            operator: operator.to_owned(),
            values: (!requirement.values.is_empty()).then(|| requirement.values.clone()),
        }
    }
}

fn match_labels_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "description": "Value that the label must have.",
            "type": "string",
            "maxLength": 63
        }
    })
}
