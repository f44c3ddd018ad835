use serde_json::{Value, json};

use super::{difference, normalise};

fn service(uid: &str, port: u16) -> Value {
    json!({"kind": "Service", "metadata": {"name": "a", "namespace": "n", "uid": uid},
        "spec": {"port": port, "clusterIP": uid}})
}

#[test]
fn identities_are_no_difference() {
    let (one, other) = (
        normalise(vec![service("1-1", 80)]),
        normalise(vec![service("2-2", 80)]),
    );
    assert_eq!(difference(&one, &other), Vec::<String>::new());
}

#[test]
fn a_changed_field_is_named() {
    let (one, other) = (
        normalise(vec![service("1-1", 80)]),
        normalise(vec![service("1-1", 81)]),
    );
    assert_eq!(
        difference(&one, &other),
        ["Service n/a.spec.port: expected 80, found 81"]
    );
}

#[test]
fn a_duplicate_is_too_much() {
    let (one, other) = (
        normalise(vec![service("1-1", 80)]),
        normalise(vec![service("1-1", 80), service("2-2", 80)]),
    );
    assert_eq!(difference(&one, &other), ["Service n/a #2 is too much"]);
}

#[test]
fn a_reference_by_uid_must_mean_the_same_object() {
    let owned =
        |uid: &str| json!({"kind": "Role", "metadata": {"name": "r", "labels": {"of": uid}}});
    let expected = normalise(vec![service("1-1", 80), owned("1-1")]);
    let right = normalise(vec![service("2-2", 80), owned("2-2")]);
    let wrong = normalise(vec![service("2-2", 80), owned("1-1")]);
    assert_eq!(difference(&expected, &right), Vec::<String>::new());
    assert_eq!(difference(&expected, &wrong).len(), 1);
}

#[test]
fn a_generated_name_is_no_difference_wherever_it_is_told() {
    let told = |random: &str| {
        let name = format!("pod-{random}");
        normalise(vec![
            json!({"kind": "Pod", "metadata": {"name": name, "generateName": "pod-"}}),
            json!({"kind": "Server", "metadata": {"name": "s"}, "status": format!("waits for {name}")}),
        ])
    };
    assert_eq!(difference(&told("x1"), &told("y2")), Vec::<String>::new());
}
