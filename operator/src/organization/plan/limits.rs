//! What the namespace may use: ResourceQuota and LimitRange.

use std::collections::BTreeMap;

use agentapi_crds::organization::ContainerDefaults;
use agentapi_crds::quantity::ResourceList;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::{Value, json};

use crate::object::{Kind, Object};
use crate::organization::ValidatedOrganization;

/// Hard limits unless the quota says otherwise: nothing of a tenant is exposed
/// past the cluster's own ingress.
const CLOSED: [&str; 2] = ["services.nodeports", "services.loadbalancers"];
/// Limits of a container that states none, where the organization states none either.
const DEFAULT_LIMITS: [(&str, &str); 2] = [("cpu", "1"), ("memory", "512Mi")];
/// Requests of a container that states none, where the organization states none either.
const DEFAULT_REQUESTS: [(&str, &str); 2] = [("cpu", "50m"), ("memory", "64Mi")];

pub(super) fn limits(organization: &ValidatedOrganization) -> Vec<Object> {
    let owner = organization.owner();
    let namespace = Some(organization.namespace.as_str());
    let quota = json!({"spec": {"hard": hard(&organization.quota)}});
    let range =
        json!({"spec": {"limits": [container_limits(organization.container_defaults.as_ref())]}});
    vec![
        owner.object(Kind::ResourceQuota, namespace, "agentapi", quota),
        owner.object(Kind::LimitRange, namespace, "agentapi", range),
    ]
}

fn hard(stated: &ResourceList) -> ResourceList {
    let closed = CLOSED.map(|name| (name.to_owned(), Quantity("0".to_owned())));
    let mut hard = BTreeMap::from(closed);
    hard.extend(stated.clone());
    hard
}

fn container_limits(stated: Option<&ContainerDefaults>) -> Value {
    let Some(stated) = stated else {
        return json!({
            "type": "Container",
            "default": BTreeMap::from(DEFAULT_LIMITS),
            "defaultRequest": BTreeMap::from(DEFAULT_REQUESTS),
        });
    };
    let mut item = json!({"type": "Container"});
    let lists = [
        ("default", &stated.default),
        ("defaultRequest", &stated.default_request),
        ("max", &stated.max),
        ("min", &stated.min),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        item[name] = json!(list);
    }
    item
}
