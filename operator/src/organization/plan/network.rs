//! NetworkPolicies: everything is closed, then what is needed is opened.

use std::net::IpAddr;

use agentapi_crds::names;
use agentapi_crds::tenant_config::{EgressConfig, EgressDestination};
use ipnet::IpNet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use crate::object::{Kind, Object};
use crate::organization::ValidatedOrganization;
use crate::organization::egress::metadata_addresses;
use crate::settings::Settings;

/// The policy that closes the namespace.
pub const DEFAULT_DENY: &str = "agentapi-default-deny";
/// Label that every namespace carries its name in.
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Label that names a pod's application.
const APPLICATION_LABEL: &str = "app.kubernetes.io/name";

/// All NetworkPolicies of an organization. The one that denies comes first.
pub(super) fn policies(organization: &ValidatedOrganization, settings: &Settings) -> Vec<Object> {
    let policy = |name: &str, spec: Value| {
        let namespace = Some(organization.namespace.as_str());
        let content = json!({"spec": spec});
        organization
            .owner()
            .object(Kind::NetworkPolicy, namespace, name, content)
    };
    let mut policies = vec![
        policy(DEFAULT_DENY, default_deny()),
        policy("agentapi-allow-dns", allow_dns(settings.node_local_dns)),
        policy("agentapi-allow-gateway", allow_gateway(settings)),
        policy("agentapi-allow-from-gateway", allow_from_gateway(settings)),
    ];
    policies.extend(
        declared_egress(&organization.egress).map(|spec| policy("agentapi-allow-egress", spec)),
    );
    if !organization.allow_from.is_empty() {
        policies.push(policy("agentapi-allow-from", allow_from(organization)));
    }
    policies
}

fn default_deny() -> Value {
    json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
}

fn allow_dns(node_local: Option<IpAddr>) -> Value {
    let mut resolvers = vec![json!({
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME_LABEL: "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    })];
    resolvers.extend(node_local.map(|address| json!({"ipBlock": {"cidr": IpNet::from(address)}})));
    json!({
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{
            "to": resolvers,
            "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        }],
    })
}

/// Agents that run in the namespace reach the gateway.
fn allow_gateway(settings: &Settings) -> Value {
    json!({
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{
            "to": [gateway_pods(settings)],
            "ports": [{"protocol": "TCP", "port": settings.gateway_port}],
        }],
    })
}

/// The gateway reaches MCP servers, and no other pods.
fn allow_from_gateway(settings: &Settings) -> Value {
    json!({
        "podSelector": {"matchExpressions": [{"key": names::SERVER_LABEL, "operator": "Exists"}]},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [gateway_pods(settings)]}],
    })
}

fn gateway_pods(settings: &Settings) -> Value {
    json!({
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME_LABEL: settings.platform_namespace}},
        "podSelector": {"matchLabels": {APPLICATION_LABEL: "agentapi-gateway"}},
    })
}

/// Declared address ranges without the metadata addresses; `None` without any.
fn declared_egress(egress: &[EgressConfig]) -> Option<Value> {
    let rules: Vec<_> = egress.iter().filter_map(egress_rule).collect();
    let spec = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": rules});
    (!rules.is_empty()).then_some(spec)
}

fn egress_rule(rule: &EgressConfig) -> Option<Value> {
    let EgressDestination::Cidr(range) = &rule.destination else {
        return None;
    };
    let mut block = json!({"cidr": range});
    let except: Vec<_> = metadata_addresses()
        .filter(|address| range.contains(address))
        .map(IpNet::from)
        .collect();
    if !except.is_empty() {
        block["except"] = json!(except);
    }
    let mut planned = json!({"to": [{"ipBlock": block}]});
    if !rule.ports.is_empty() {
        let ports: Vec<_> = rule
            .ports
            .iter()
            .map(|port| json!({"protocol": "TCP", "port": port}))
            .collect();
        planned["ports"] = json!(ports);
    }
    Some(planned)
}

fn allow_from(organization: &ValidatedOrganization) -> Value {
    let selectors = organization.allow_from.iter().map(LabelSelector::from);
    let peers: Vec<_> = selectors
        .map(|selector| json!({"namespaceSelector": selector}))
        .collect();
    json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": peers}]})
}
