//! The ConfigMap that carries an organization's document to the gateway.

use agentapi_crds::names;
use agentapi_crds::tenant_config::TenantConfig;
use serde_json::json;

use crate::object::{Kind, Object, Owner};

/// The ConfigMap of a document.
pub fn tenant_config_object(owner: &Owner, document: &TenantConfig) -> Object {
    // `json!` writes any value that has only string keys, and composing the document wrote it before.
    let text = json!(document).to_string();
    let name = names::tenant_config_map(&document.organization);
    let content = json!({"data": {names::TENANT_CONFIG_KEY: text}});
    owner
        .object(
            Kind::ConfigMap,
            Some(names::TENANTS_NAMESPACE),
            &name,
            content,
        )
        .with_label(names::TENANT_CONFIG_LABEL, "true")
}
