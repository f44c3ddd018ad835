use agentapi_crds::conditions::reasons;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;

use super::{MAX_NOTE_BYTES, RECOVERED, change, shortened};
use crate::conditions::{Progress, conditions, paused};

fn told(before: &[Condition], after: &[Condition]) -> Option<String> {
    change(before, after).map(|change| change.reason)
}

fn at(progress: &Progress) -> Vec<Condition> {
    conditions(&[], progress.assertions(), Some(1), Timestamp::UNIX_EPOCH)
}

fn ready() -> Vec<Condition> {
    at(&Progress::Ready("served".to_owned()))
}

fn stalled(reason: &'static str, message: &str) -> Vec<Condition> {
    at(&Progress::Stalled {
        reason,
        message: message.to_owned(),
    })
}

fn suspended() -> Vec<Condition> {
    at(&Progress::Off {
        reason: reasons::SUSPENDED,
        message: "suspended".to_owned(),
    })
}

#[test]
fn a_new_resource_that_becomes_ready_is_not_told() {
    assert_eq!(told(&[], &ready()), None);
}

#[test]
fn a_stall_is_told_with_its_reason() {
    let after = stalled(reasons::INVALID_SPEC, "a");
    assert_eq!(
        told(&ready(), &after).as_deref(),
        Some(reasons::INVALID_SPEC)
    );
    assert_eq!(told(&[], &after).as_deref(), Some(reasons::INVALID_SPEC));
}

#[test]
fn a_stall_that_goes_on_is_not_told_again() {
    let before = stalled(reasons::INVALID_SPEC, "a");
    assert_eq!(told(&before, &stalled(reasons::INVALID_SPEC, "b")), None);
}

#[test]
fn the_end_of_a_stall_is_told() {
    let before = stalled(reasons::INVALID_SPEC, "a");
    assert_eq!(told(&before, &ready()).as_deref(), Some(RECOVERED));
}

#[test]
fn suspension_and_its_end_are_told() {
    assert_eq!(
        told(&ready(), &suspended()).as_deref(),
        Some(reasons::SUSPENDED)
    );
    assert_eq!(told(&suspended(), &suspended()), None);
    assert_eq!(told(&suspended(), &ready()).as_deref(), Some(RECOVERED));
}

#[test]
fn a_pause_is_told_once() {
    let after = paused(&ready(), Some(1), Timestamp::UNIX_EPOCH);
    assert_eq!(told(&ready(), &after).as_deref(), Some(reasons::PAUSED));
    assert_eq!(told(&after, &after), None);
}

#[test]
fn pods_that_come_and_go_are_not_told() {
    let progressing = at(&Progress::Reconciling {
        reason: reasons::PROGRESSING,
        message: "0 of 1".to_owned(),
    });
    assert_eq!(told(&ready(), &progressing), None);
    assert_eq!(told(&progressing, &ready()), None);
}

#[test]
fn a_note_is_cut_between_characters() {
    let note = "ü".repeat(MAX_NOTE_BYTES);
    assert_eq!(shortened(&note).len(), MAX_NOTE_BYTES);
    let odd = format!("a{note}");
    assert_eq!(shortened(&odd).len(), MAX_NOTE_BYTES - 1);
}
