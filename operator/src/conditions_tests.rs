use agentapi_crds::conditions::{reasons, types};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;

use super::{Assertion, Progress, conditions, paused};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a small number of seconds")
}

fn ready(now: Timestamp, previous: &[Condition]) -> Vec<Condition> {
    let assertions = Progress::Ready("done".to_owned()).assertions();
    conditions(previous, assertions, Some(4), now)
}

#[test]
fn the_transition_time_stays_while_the_status_stays() {
    let first = ready(at(1), &[]);
    let second = ready(at(2), &first);
    assert_eq!(second[0].last_transition_time.0, at(1));
}

#[test]
fn the_transition_time_moves_when_the_status_does() {
    let progress = Progress::Reconciling {
        reason: reasons::PROGRESSING,
        message: String::new(),
    };
    let first = conditions(&[], progress.assertions(), Some(3), at(1));
    let second = ready(at(2), &first);
    assert_eq!(second[0].last_transition_time.0, at(2));
}

#[test]
fn conditions_that_are_no_longer_asserted_go() {
    let stalled = Progress::Stalled {
        reason: reasons::INVALID_SPEC,
        message: String::new(),
    };
    let first = conditions(&[], stalled.assertions(), Some(3), at(1));
    let second = ready(at(2), &first);
    assert!(
        second
            .iter()
            .all(|condition| condition.type_ != types::STALLED)
    );
}

#[test]
fn ready_comes_first() {
    let stalled = Progress::Stalled {
        reason: reasons::INVALID_SPEC,
        message: String::new(),
    };
    assert_eq!(stalled.assertions()[0].condition_type, types::READY);
}

#[test]
fn a_message_is_cut_to_what_the_schema_takes() {
    let long = Assertion::is_true(types::READY, reasons::RECONCILED, "é".repeat(40_000));
    let written = conditions(&[], vec![long], None, at(1));
    assert_eq!(written[0].message.chars().count(), 32_768);
}

#[test]
fn a_paused_resource_keeps_its_conditions_and_says_that_nothing_goes_on() {
    let found = paused(&ready(at(1), &[]), Some(5), at(2));
    let types: Vec<_> = found
        .iter()
        .map(|condition| condition.type_.as_str())
        .collect();
    assert_eq!(types, [types::READY, types::RECONCILING]);
}

#[test]
fn pausing_twice_changes_nothing() {
    let once = paused(&ready(at(1), &[]), Some(5), at(2));
    assert_eq!(paused(&once, Some(5), at(3)), once);
}
