//! Parts of objects that are the operator's as a whole: what others put into
//! one is taken out again, which applying cannot do to fields that others own.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value, json};

use super::ownership::is_our_apply;
use crate::object::{Kind, Object};

/// Member of `spec` that is owned whole.
fn part(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Deployment => Some("template"),
        Kind::Service => Some("ports"),
        _ => None,
    }
}

/// Whether anybody but the operator's applies owns fields of what is owned whole.
pub(super) fn is_shared(kind: Kind, live: &ObjectMeta) -> bool {
    let Some(part) = part(kind) else {
        return false;
    };
    let pointer = format!("/f:spec/f:{part}");
    let entries = live.managed_fields.iter().flatten();
    entries.filter(|entry| !is_our_apply(entry)).any(|entry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.pointer(&pointer).is_some())
    })
}

/// The JSON patch (RFC 6902) that makes the part what the plan says and takes
/// it from its other owners; none for kinds without such a part.
pub(super) fn restoration(object: &Object, live: &ObjectMeta) -> Option<Value> {
    let part = part(object.kind)?;
    let entries = live.managed_fields.iter().flatten();
    let entries: Vec<_> = entries
        .filter_map(|entry| without_part(entry, part))
        .collect();
    Some(json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": live.resource_version},
        {"op": "replace", "path": format!("/spec/{part}"), "value": object.manifest["spec"][part]},
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
    ]))
}

/// An entry of somebody else without the part; nothing where nothing is left of it.
fn without_part(entry: &ManagedFieldsEntry, part: &str) -> Option<ManagedFieldsEntry> {
    let mut entry = entry.clone();
    if is_our_apply(&entry) {
        return Some(entry);
    }
    let fields = entry.fields_v1.as_mut()?.0.as_object_mut()?;
    if let Some(spec) = fields.get_mut("f:spec").and_then(Value::as_object_mut) {
        spec.remove(&format!("f:{part}"));
        if spec.is_empty() {
            fields.remove("f:spec");
        }
    }
    (!Map::is_empty(fields)).then_some(entry)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::{Value, json};

    use super::{is_shared, restoration};
    use crate::object::{Kind, Object, Owner};

    fn deployment() -> Object {
        let owner = Owner {
            organization: "acme".to_owned(),
            uid: "1".to_owned(),
            server: None,
        };
        let content = json!({"spec": {"template": {"spec": {"containers": []}}}});
        owner.object(Kind::Deployment, Some("org-acme"), "box", content)
    }

    fn managed_by(manager: &str, operation: &str, fields: Value) -> ObjectMeta {
        let entry = json!({"manager": manager, "operation": operation, "fieldsV1": fields});
        serde_json::from_value(json!({"resourceVersion": "7", "managedFields": [entry]}))
            .expect("metadata")
    }

    fn template() -> Value {
        json!({"f:spec": {"f:template": {"f:spec": {}}}})
    }

    #[test]
    fn our_own_fields_are_not_shared() {
        let live = managed_by("agentapi-operator", "Apply", template());
        assert!(!is_shared(Kind::Deployment, &live));
    }

    #[test]
    fn fields_of_others_in_the_template_are() {
        let live = managed_by("kubectl-edit", "Update", template());
        assert!(is_shared(Kind::Deployment, &live));
    }

    #[test]
    fn fields_of_others_elsewhere_are_theirs() {
        let live = managed_by("scaler", "Update", json!({"f:spec": {"f:paused": {}}}));
        assert!(!is_shared(Kind::Deployment, &live));
    }

    #[test]
    fn a_restored_template_has_no_other_owner_and_the_rest_keeps_its_own() {
        let fields = json!({"f:spec": {"f:template": {}, "f:paused": {}}});
        let live = managed_by("kubectl-edit", "Update", fields);
        let patch = restoration(&deployment(), &live).expect("the kind has a part");
        let entries = &patch[2]["value"];
        assert_eq!(entries[0]["fieldsV1"], json!({"f:spec": {"f:paused": {}}}));
    }

    #[test]
    fn an_owner_of_nothing_else_is_dropped() {
        let live = managed_by("kubectl-edit", "Update", template());
        let patch = restoration(&deployment(), &live).expect("the kind has a part");
        assert_eq!(patch[2]["value"], json!([]));
    }
}
