use super::*;
use crate::process::StopSignal;
use crate::scratch::Scratch;

fn sleeper(directory: &Path) -> Daemon {
    Daemon {
        name: "sleeper",
        program: "sleep".into(),
        arguments: vec!["600".to_owned()],
        environment: Vec::new(),
        directory: directory.to_path_buf(),
        user: None,
        stop: StopSignal::Terminate,
    }
}

#[test]
fn ports_and_secrets_survive_a_reopening() {
    let scratch = Scratch::new("reopen");
    let remembered =
        |state: &mut State| (state.port("one").unwrap(), state.password("two").unwrap());
    let first = remembered(&mut State::open(scratch.path()).unwrap());
    let second = remembered(&mut State::open(scratch.path()).unwrap());
    assert_eq!(first, second);
}

#[test]
fn a_remembered_port_that_a_stranger_took_is_replaced() {
    let scratch = Scratch::new("port");
    let mut state = State::open(scratch.path()).unwrap();
    let port = state.port("one").unwrap();
    let _stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    assert_ne!(state.port_to_listen_on("one").unwrap(), port);
}

#[test]
fn the_memory_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("mode");
    let mut state = State::open(scratch.path()).unwrap();
    state.password("one").unwrap();
    let mode = fs::metadata(state.path(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_started_program_is_stopped_by_a_later_command() {
    let scratch = Scratch::new("stop");
    let mut state = State::open(scratch.path()).unwrap();
    state.start(&sleeper(scratch.path()), || true).unwrap();
    drop(state);
    let mut later = State::open(scratch.path()).unwrap();
    assert!(
        later.runs("sleeper").unwrap(),
        "the later command does not know it"
    );
    later.stop(|_| true).unwrap();
    assert!(later.processes().is_empty());
}

#[test]
fn a_program_that_ends_early_is_reported_with_its_log() {
    let scratch = Scratch::new("ends");
    let mut state = State::open(scratch.path()).unwrap();
    let daemon = Daemon {
        program: "sh".into(),
        arguments: vec![
            "-c".to_owned(),
            "sleep 0.2; echo out of luck; exit 1".to_owned(),
        ],
        ..sleeper(scratch.path())
    };
    let error = format!("{:#}", state.start(&daemon, || false).unwrap_err());
    assert!(error.contains("out of luck"), "{error}");
}

#[test]
fn forgetting_keeps_the_lock_that_others_may_wait_for() {
    let scratch = Scratch::new("forget");
    let mut state = State::open(scratch.path()).unwrap();
    state.port("one").unwrap();
    state.forget().unwrap();
    let left: Vec<_> = fs::read_dir(scratch.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, [LOCK]);
}
