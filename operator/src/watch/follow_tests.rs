use kube::ResourceExt;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::json;

use super::{Known, LAST_APPLIED_ANNOTATION, Touched, strip};

fn touched(name: &str) -> Touched {
    Touched {
        namespace: None,
        name: name.to_owned(),
        organization: None,
        server: None,
    }
}

fn of_organization(name: &str, organization: &str) -> Touched {
    Touched {
        organization: Some(organization.to_owned()),
        ..touched(name)
    }
}

fn names(touched: Vec<Touched>) -> Vec<String> {
    let mut names: Vec<_> = touched.into_iter().map(|touched| touched.name).collect();
    names.sort();
    names
}

/// What is known after a first list of `a` and `b`.
fn listed() -> Known {
    let mut known = Known::default();
    known.list(touched("a"), "1".to_owned());
    known.list(touched("b"), "1".to_owned());
    known.finish();
    known
}

#[test]
fn a_change_is_told() {
    let told = listed().apply(touched("a"), "2".to_owned());
    assert_eq!(told, [touched("a")]);
}

#[test]
fn what_is_as_it_was_is_not_told() {
    assert_eq!(listed().apply(touched("a"), "1".to_owned()), []);
}

#[test]
fn an_object_that_changes_hands_is_told_to_both() {
    let mut known = Known::default();
    known.apply(of_organization("a", "acme"), "1".to_owned());
    let told = known.apply(of_organization("a", "globex"), "2".to_owned());
    assert_eq!(
        told,
        [of_organization("a", "acme"), of_organization("a", "globex")]
    );
}

#[test]
fn an_object_that_loses_its_labels_is_told_to_whom_it_belonged() {
    let mut known = Known::default();
    known.apply(of_organization("a", "acme"), "1".to_owned());
    let told = known.remove(touched("a"));
    assert!(told.contains(&of_organization("a", "acme")), "{told:?}");
}

#[test]
fn a_list_tells_what_changed_appeared_and_went() {
    let mut known = listed();
    known.list(touched("a"), "2".to_owned());
    known.list(touched("c"), "1".to_owned());
    assert_eq!(names(known.finish()), ["a", "b", "c"]);
}

#[test]
fn a_list_does_not_tell_what_stayed() {
    let mut known = listed();
    known.list(touched("a"), "1".to_owned());
    known.list(touched("b"), "1".to_owned());
    assert_eq!(names(known.finish()), Vec::<String>::new());
}

#[test]
fn what_was_removed_and_comes_back_is_told() {
    let mut known = listed();
    known.remove(touched("a"));
    let told = known.apply(touched("a"), "1".to_owned());
    assert_eq!(told, [touched("a")]);
}

#[test]
fn the_copy_that_kubectl_keeps_of_a_secret_is_dropped() {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret"));
    let mut secret = DynamicObject::new("a", &resource);
    let copy = json!({"data": {"value": "c2VjcmV0"}}).to_string();
    secret
        .annotations_mut()
        .insert(LAST_APPLIED_ANNOTATION.to_owned(), copy);
    strip(&mut secret);
    assert!(secret.annotations().is_empty(), "{:?}", secret.metadata);
}
