use std::process::{Child, Command};

use super::*;

fn sleeper() -> Child {
    Command::new("sleep").arg("600").spawn().unwrap()
}

#[test]
fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
    let stat = "7 (a) b (c)) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
    assert_eq!(parse_stat(stat), Some(('S', 4242)));
}

#[test]
fn stopping_ends_the_recorded_process() {
    let mut child = sleeper();
    let identity = Identity::of(child.id()).unwrap().unwrap();
    identity.stop(StopSignal::Terminate).unwrap();
    assert!(!identity.is_alive().unwrap());
    child.wait().unwrap();
}

#[test]
fn a_recycled_pid_is_neither_alive_nor_stopped() {
    let mut child = sleeper();
    let identity = Identity::of(child.id()).unwrap().unwrap();
    let earlier = Identity {
        start_time: identity.start_time - 1,
        ..identity.clone()
    };
    earlier.stop(StopSignal::Terminate).unwrap();
    let untouched = identity.is_alive().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(untouched, "the process that got the pid later was stopped");
}

#[test]
fn an_ended_process_that_nobody_reaped_is_not_alive() {
    let mut child = Command::new("true").spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while Identity::of(child.id()).unwrap().is_some() {
        assert!(Instant::now() < deadline, "`true` still counts as running");
    }
    child.wait().unwrap();
}
