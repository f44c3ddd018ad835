use std::fs;
use std::process::Stdio;

use tempfile::TempDir;

use super::super::child::DIRECTORY_PREFIX;
use super::*;

fn session() -> TempDir {
    tempfile::Builder::new()
        .prefix(DIRECTORY_PREFIX)
        .tempdir()
        .unwrap()
}

/// Whether a script, with that directory as its own, succeeds; `None` where nothing confines it.
async fn succeeds(script: &str, own: &TempDir) -> Option<bool> {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(own.path());
    command.stderr(Stdio::null()).stdout(Stdio::null());
    let (mut child, confinement) = spawn(command, own.path()).unwrap();
    let succeeded = child.wait().await.unwrap().success();
    (confinement != Confinement::None).then_some(succeeded)
}

/// On a kernel without Landlock there is nothing to see but what the log says.
#[track_caller]
fn expect(found: Option<bool>, expected: bool, what: &str) {
    match found {
        Some(found) => assert_eq!(found, expected, "{what}"),
        None => assert!(Confinement::None.description().contains("not confined")),
    }
}

#[tokio::test]
async fn a_program_writes_to_its_own_directory() {
    let own = session();
    let script = "mkdir a && echo x > a/b && mv a/b c && rm c && echo x > /dev/null";
    expect(succeeds(script, &own).await, true, "its own directory");
}

#[tokio::test]
async fn a_program_writes_to_nothing_else() {
    let (own, elsewhere) = (session(), tempfile::tempdir().unwrap());
    let foreign = elsewhere.path().join("file");
    fs::write(&foreign, "kept").unwrap();
    let path = foreign.display();
    for script in [
        format!("echo x > {path}"),
        format!("rm {path}"),
        format!("mv {path} {path}-moved"),
        format!("mkdir {path}-new"),
        format!("ln {path} linked && echo x > linked"),
        "echo x > /var/tmp/agentapi-confined".to_owned(),
    ] {
        expect(succeeds(&script, &own).await, false, &script);
    }
    if succeeds("true", &own).await.is_some() {
        assert_eq!(fs::read_to_string(&foreign).unwrap(), "kept");
    }
}

#[tokio::test]
async fn a_program_reads_and_runs_what_is_on_the_machine() {
    let (own, elsewhere) = (session(), tempfile::tempdir().unwrap());
    let script = elsewhere.path().join("script");
    fs::write(&script, "exit 0").unwrap();
    let script = format!(
        "ls /usr && cat /proc/self/status && sh {}",
        script.display()
    );
    expect(succeeds(&script, &own).await, true, &script);
}

#[tokio::test]
async fn a_program_does_not_see_another_sessions_directory() {
    let (own, other) = (session(), session());
    let secret = other.path().join("secret");
    fs::write(&secret, "x").unwrap();
    for script in [
        format!("cat {}", secret.display()),
        format!("ls {}", other.path().display()),
        format!("cat /proc/self/root{}", secret.display()),
        format!("ln -s {} link && cat link", secret.display()),
        format!("ls {}", own.path().parent().unwrap().display()),
    ] {
        expect(succeeds(&script, &own).await, false, &script);
    }
}

#[tokio::test]
async fn a_program_does_not_look_into_the_one_that_started_it() {
    let own = session();
    // Not `environ`: root, as which tests may run, holds CAP_PERFMON, which opens it.
    let script = format!("readlink /proc/{}/cwd", std::process::id());
    expect(succeeds(&script, &own).await, false, &script);
}

#[tokio::test]
async fn whoever_starts_a_program_stays_free() {
    let own = session();
    succeeds("true", &own).await;
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("file"), "x").unwrap();
}

#[test]
fn the_log_tells_the_cases_apart() {
    let said = [Confinement::Whole, Confinement::Part, Confinement::None];
    let said: std::collections::BTreeSet<_> = said.map(Confinement::description).into();
    assert_eq!(said.len(), 3);
}
