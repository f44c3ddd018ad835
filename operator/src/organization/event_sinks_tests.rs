use agentapi_crds::conditions::reasons;
use agentapi_crds::names;

use super::{EventSinks, assess_event_sinks};
use crate::fixtures::{organization, secret};
use crate::inputs::SecretMetadata;

const TWO: &str = "eventSinks:\n\
    - {name: second, url: 'https://b.example.com/hook', secretRef: {name: b}}\n\
    - {name: first, url: 'https://a.example.com/hook', secretRef: {name: a}}";

fn credential(name: &str) -> SecretMetadata {
    SecretMetadata {
        namespace: names::CREDENTIALS_NAMESPACE.to_owned(),
        ..secret(name)
    }
}

fn assess(secrets: Vec<SecretMetadata>) -> EventSinks {
    assess_event_sinks(&organization(TWO), &secrets.into_iter().collect())
}

fn usable(sinks: &EventSinks) -> Vec<&str> {
    sinks.usable.iter().map(|sink| sink.name.as_str()).collect()
}

#[test]
fn sinks_are_in_the_document_in_the_order_of_their_names() {
    let sinks = assess(vec![credential("a"), credential("b")]);
    assert_eq!(usable(&sinks), ["first", "second"]);
}

#[test]
fn a_sink_without_its_secret_is_left_out_alone() {
    let sinks = assess(vec![credential("a")]);
    assert_eq!(usable(&sinks), ["first"]);
}

#[test]
fn a_sink_that_is_left_out_is_named_with_its_field() {
    let sinks = assess(vec![credential("a")]);
    let problem = sinks.problems.first().unwrap();
    assert_eq!(
        (problem.reason, problem.field.as_str()),
        (reasons::SECRET_UNAVAILABLE, "spec.eventSinks[0].secretRef")
    );
}

#[test]
fn a_secret_of_the_organizations_own_namespace_signs_nothing() {
    let sinks = assess(vec![secret("a"), secret("b")]);
    assert_eq!(usable(&sinks), [""; 0]);
}

#[test]
fn a_secret_bound_to_another_host_is_not_sent_elsewhere() {
    let mut bound = credential("a");
    let hosts = "other.example.com".to_owned();
    bound
        .annotations
        .insert(names::ALLOWED_HOSTS_ANNOTATION.to_owned(), hosts);
    let sinks = assess(vec![bound, credential("b")]);
    assert_eq!(usable(&sinks), ["second"]);
}
