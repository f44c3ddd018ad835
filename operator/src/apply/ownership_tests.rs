use agentapi_crds::names;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::{Claim, owns_all};
use crate::apply::WriteError;
use crate::object::{Kind, Object, Owner};

const HASH: &str = "abc";

fn owner(uid: &str) -> Owner {
    Owner {
        organization: "acme".to_owned(),
        uid: uid.to_owned(),
        server: None,
    }
}

fn planned() -> Object {
    owner("1").object(Kind::ServiceAccount, Some("org-acme"), "a", json!({}))
}

/// A live object of `owner`.
fn live(owner: &Owner) -> DynamicObject {
    let object = owner.object(Kind::ServiceAccount, Some("org-acme"), "a", json!({}));
    let mut live: DynamicObject =
        serde_json::from_value(object.manifest).expect("a plan is a Kubernetes object");
    live.metadata.uid = Some("uid-of-a".to_owned());
    live
}

fn check(
    live: &DynamicObject,
    known_uid: Option<&str>,
    predecessor: Option<&Owner>,
) -> Result<(), WriteError> {
    let object = planned();
    let claim = Claim {
        object: &object,
        hash: HASH,
        known_uid: known_uid.map(str::to_owned),
        predecessor,
    };
    claim.check(live)
}

fn is_refused(result: &Result<(), WriteError>) -> bool {
    matches!(result, Err(WriteError::NotOurs { .. }))
}

#[test]
fn an_object_with_our_labels_is_ours() {
    assert!(check(&live(&owner("1")), None, None).is_ok());
}

#[test]
fn an_object_of_another_organization_is_refused() {
    assert!(is_refused(&check(&live(&owner("2")), None, None)));
}

#[test]
fn an_object_without_labels_is_refused() {
    let mut live = live(&owner("1"));
    live.metadata.labels = None;
    assert!(is_refused(&check(&live, None, None)));
}

#[test]
fn an_object_that_was_applied_before_stays_ours_without_its_labels() {
    let mut live = live(&owner("1"));
    live.metadata.labels = None;
    assert!(check(&live, Some("uid-of-a"), None).is_ok());
}

#[test]
fn another_object_of_the_name_that_was_applied_before_is_refused() {
    let mut live = live(&owner("1"));
    live.metadata.labels = None;
    assert!(is_refused(&check(&live, Some("uid-of-another"), None)));
}

#[test]
fn an_object_that_has_the_hash_of_its_plan_stays_ours_without_its_labels() {
    let mut live = live(&owner("1"));
    live.metadata.labels = None;
    let annotations = live.annotations_mut();
    annotations.insert(names::APPLIED_HASH_ANNOTATION.to_owned(), HASH.to_owned());
    assert!(check(&live, None, None).is_ok());
}

#[test]
fn an_object_of_the_predecessor_is_taken_over() {
    let predecessor = owner("2");
    assert!(check(&live(&predecessor), None, Some(&predecessor)).is_ok());
    assert!(is_refused(&check(
        &live(&owner("3")),
        None,
        Some(&predecessor)
    )));
}

#[test]
fn an_object_that_is_going_is_waited_for() {
    let mut live = live(&owner("1"));
    live.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-01-01T00:00:00Z")).expect("a time");
    let result = check(&live, None, None);
    assert!(matches!(result, Err(WriteError::Terminating { .. })));
}

fn policy() -> Value {
    json!({
        "kind": "NetworkPolicy",
        "metadata": {"name": "a", "labels": {"x": "y"}},
        "spec": {"podSelector": {}, "egress": [{"to": []}]},
    })
}

fn owning(spec: Value) -> ObjectMeta {
    let fields = json!({"f:metadata": {"f:labels": {"f:x": {}}}, "f:spec": spec});
    let entry = json!({"manager": names::MANAGER, "operation": "Apply", "fieldsV1": fields});
    serde_json::from_value(json!({"managedFields": [entry]})).expect("metadata")
}

#[test]
fn an_object_whose_every_field_is_ours_is_as_applied() {
    let live = owning(json!({"f:podSelector": {}, "f:egress": {}}));
    assert!(owns_all(&policy(), &live));
}

#[test]
fn a_list_that_others_took_over_is_found() {
    let live = owning(json!({"f:podSelector": {}}));
    assert!(!owns_all(&policy(), &live));
}

#[test]
fn an_object_that_was_never_applied_is_found() {
    assert!(!owns_all(&policy(), &ObjectMeta::default()));
}
