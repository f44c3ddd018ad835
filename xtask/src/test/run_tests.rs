use super::*;
use crate::scratch::Scratch;

/// What `watch` makes of a program that prints as the shell script says.
fn counts(name: &str, script: &str) -> Counts {
    let scratch = Scratch::new(name);
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    watch(name, command, &scratch.path().join("log"), false, LIMIT).unwrap()
}

#[test]
fn the_summaries_of_a_program_add_up() {
    let script = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'; echo 'test result: ok. 3 passed; 0 failed'";
    assert_eq!(
        counts("sums", script),
        Counts {
            passed: 5,
            failed: 0
        }
    );
}

#[test]
fn a_program_that_crashes_before_its_summary_counts_as_a_failure() {
    assert_eq!(
        counts("crash", "exit 101"),
        Counts {
            passed: 0,
            failed: 1
        }
    );
}

#[test]
fn a_program_that_leaves_a_child_holding_its_output_still_ends() {
    let started = Instant::now();
    counts(
        "child",
        "sleep 5 & echo 'test result: ok. 1 passed; 0 failed'",
    );
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "waited for the child"
    );
}

#[test]
fn the_section_on_failures_is_kept() {
    let mut report = Report::default();
    for line in [
        "test a ... FAILED",
        "",
        "failures:",
        "",
        "---- a stdout ----",
        "why",
        "test result: FAILED. 0 passed; 1 failed",
    ] {
        report.line(line, false);
    }
    assert!(report.failures.contains("why"), "{}", report.failures);
}

#[test]
fn killing_a_program_of_tests_ends_what_it_started() {
    let mut command = Command::new("sh");
    command
        .args(["-c", "sleep 600 & echo $!; wait"])
        .stdout(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let grandchild = line.trim().parse().unwrap();
    kill_group(&child).unwrap();
    child.wait().unwrap();
    crate::wait::until("the grandchild's end", Duration::from_secs(10), || {
        Ok(crate::process::Identity::of(grandchild)?
            .is_none()
            .then_some(()))
    })
    .unwrap();
}
