use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use futures::TryStreamExt;
use secrecy::SecretString;
use serde_json::Value;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);
const LIMIT: usize = 4096;

fn start(script: &str, patience: Duration) -> Process {
    let launch = Launch {
        name: "test".into(),
        command: vec!["sh".into(), "-c".into(), script.into()],
        args: vec![],
        directory: None,
        env: BTreeMap::from([("DECLARED".into(), SecretString::from("value".to_owned()))]),
    };
    Process::start(&launch, LIMIT, patience).unwrap()
}

fn call(id: &str) -> Call {
    Call {
        text: format!("{{\"jsonrpc\":\"2.0\",\n\"id\":{id},\"method\":\"x\"}}"),
        id: id.into(),
        progress_token: Some("\"p\"".into()),
    }
}

async fn called(script: &str) -> Result<Vec<String>, UpstreamError> {
    match start(script, PATIENCE).call(call("1")).await? {
        Reply::Message(text) => Ok(vec![text]),
        Reply::Stream(messages) => messages.try_collect().await,
    }
}

/// The `result` that a script prints in answer to one request.
async fn result(process: &Process) -> Value {
    let answer = process.call(call("1")).await.unwrap();
    let answer = answer.response().await.unwrap();
    serde_json::from_str::<Value>(&answer).unwrap()["result"].take()
}

/// Waits for a condition, and fails with `what` if it does not come true.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_answer_passes_to_the_byte() {
    let answer = r#"{ "result":{"x":1.00} , "id":1,"jsonrpc":"2.0" }"#;
    let found = called(&format!("read -r l; echo '{answer}'"))
        .await
        .unwrap();
    assert_eq!(found, [answer]);
}

#[tokio::test]
async fn a_message_is_one_line_however_it_was_written() {
    let script =
        r#"read -r l; case "$l" in *method*) echo '{"jsonrpc":"2.0","id":1,"result":{}}';; esac"#;
    assert_eq!(called(script).await.unwrap().len(), 1);
}

#[tokio::test]
async fn progress_comes_before_the_answer() {
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}"#;
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let found = called(&format!("read -r l; echo '{progress}'; echo '{answer}'"))
        .await
        .unwrap();
    assert_eq!(found, [progress, answer]);
}

#[tokio::test]
async fn concurrent_calls_get_their_own_answers() {
    let script = r#"read -r a; read -r b
        echo '{"jsonrpc":"2.0","id":2,"result":"two"}'
        echo '{"jsonrpc":"2.0","id":1,"result":"one"}'"#;
    let process = start(script, PATIENCE);
    let (one, two) = tokio::join!(process.call(call("1")), process.call(call("2")));
    let (one, two) = (one.unwrap().response().await, two.unwrap().response().await);
    assert!(one.unwrap().contains("one"), "the answers are exchanged");
    assert!(two.unwrap().contains("two"), "the answers are exchanged");
}

#[tokio::test]
async fn an_id_that_is_in_flight_is_refused() {
    let process = start("read -r l; sleep 100", PATIENCE);
    let first = process.call(call("1"));
    tokio::pin!(first);
    assert!(futures::poll!(first.as_mut()).is_pending());
    let error = process.call(call("1")).await.expect_err("the id is in use");
    assert!(matches!(error, UpstreamError::IdInUse), "{error:?}");
}

#[tokio::test]
async fn a_greeting_is_not_taken_for_a_message() {
    let script = r#"echo 'Welcome!'; read -r l; echo '{"jsonrpc":"2.0","id":1,"result":{}}'"#;
    assert_eq!(called(script).await.unwrap().len(), 1);
}

#[tokio::test]
async fn failures_are_typed_and_retryable() {
    for (script, code) in [
        ("read -r l; echo '{garbage'", "upstream_invalid_message"),
        ("read -r l; exit 3", "upstream_exited"),
        ("exit 0", "upstream_exited"),
    ] {
        let error = called(&format!("{script}; sleep 0"))
            .await
            .expect_err(script);
        assert_eq!((error.code(), error.retryable()), (code, true), "{script}");
    }
}

#[tokio::test]
async fn a_line_over_the_limit_ends_the_program() {
    let script = r#"read -r l; head -c 100000 /dev/zero | tr '\0' x; sleep 100"#;
    let process = start(script, PATIENCE);
    let error = process.call(call("1")).await.expect_err("too large");
    assert!(matches!(error, UpstreamError::TooLarge(LIMIT)), "{error:?}");
    eventually("the program must be ended", || !process.is_running()).await;
}

#[tokio::test]
async fn a_program_that_hangs_is_given_up_in_time() {
    let patience = Duration::from_millis(200);
    let process = start("sleep 100", patience);
    let error = process.call(call("1")).await.expect_err("nothing answers");
    assert!(matches!(error, UpstreamError::Timeout(_)), "{error:?}");
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_a_typed_error() {
    let launch = Launch {
        name: "test".into(),
        command: vec!["/does/not/exist".into()],
        args: vec![],
        directory: None,
        env: BTreeMap::new(),
    };
    let error = Process::start(&launch, LIMIT, PATIENCE).expect_err("it does not exist");
    assert!(matches!(error, UpstreamError::Start(_)), "{error:?}");
}

#[tokio::test]
async fn only_declared_variables_are_seen() {
    let script = r#"read -r l; printf '{"jsonrpc":"2.0","id":1,"result":["%s","%s"]}\n' "${CARGO_MANIFEST_DIR-none}" "$DECLARED"; read -r l"#;
    let seen = result(&start(script, PATIENCE)).await;
    assert_eq!(seen, serde_json::json!(["none", "value"]));
}

#[tokio::test]
async fn each_program_has_a_directory_of_its_own_which_goes_with_it() {
    let script =
        r#"read -r l; printf '{"jsonrpc":"2.0","id":1,"result":"%s"}\n' "$PWD"; read -r l"#;
    let (one, other) = (start(script, PATIENCE), start(script, PATIENCE));
    let directory = result(&one).await;
    assert_ne!(directory, result(&other).await);
    drop(one);
    let directory = directory.as_str().unwrap().to_owned();
    eventually("the directory must be removed", || {
        !Path::new(&directory).exists()
    })
    .await;
}

/// Starts something in the background, tells its process id, and waits.
fn starts(background: &str) -> String {
    format!(
        r#"read -r l; {background} & printf '{{"jsonrpc":"2.0","id":1,"result":%s}}\n' "$!"; read -r l"#
    )
}

/// Waits until a process has ended.
async fn eventually_ended(process: &Value) {
    let status = format!("/proc/{process}/stat");
    eventually("the grandchild must be ended", || {
        // An orphan that nobody has reaped yet is a zombie.
        std::fs::read_to_string(&status).map_or(true, |stat| stat.contains(") Z"))
    })
    .await;
}

#[tokio::test]
async fn what_a_program_started_ends_with_it() {
    let process = start(&starts("sleep 1000"), PATIENCE);
    let grandchild = result(&process).await;
    drop(process);
    eventually_ended(&grandchild).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_left_the_programs_group_ends_with_it() {
    // `setsid` runs in a background job, which leads no group: it does not fork, so that `$!` is right.
    let process = start(&starts("setsid sleep 1000"), PATIENCE);
    let daemon = result(&process).await;
    let status = format!("/proc/{daemon}/stat");
    eventually("the daemon must have a session of its own", || {
        let stat = std::fs::read_to_string(&status).unwrap_or_default();
        stat.split_whitespace().nth(5) == Some(&daemon.to_string())
    })
    .await;
    drop(process);
    eventually_ended(&daemon).await;
}

#[test]
fn what_a_program_started_ends_with_the_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (process, grandchild) = runtime.block_on(async {
        let process = start(&starts("sleep 1000"), PATIENCE);
        let grandchild = result(&process).await;
        (process, grandchild)
    });
    runtime.shutdown_background();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(eventually_ended(&grandchild));
    drop(process);
}

#[tokio::test]
async fn a_request_that_nobody_can_hear_is_answered_with_an_error() {
    // A program can leave signs in its own directory only.
    let sign = format!("answered-{}", uuid::Uuid::new_v4());
    let script = format!(
        r#"echo '{{"jsonrpc":"2.0","id":"q","method":"roots/list"}}'; read -r answer; : > {sign}
        read -r l; case "$answer" in *-32601*) echo '{{"jsonrpc":"2.0","id":1,"result":{{}}}}';; esac"#
    );
    let process = start(&script, PATIENCE);
    // The program asks before any call is in flight; the answer to it comes first.
    eventually("the program must be answered", || {
        let directories = std::fs::read_dir(std::env::temp_dir()).unwrap();
        let mut paths = directories.flatten().map(|entry| entry.path());
        paths.any(|path| path.join(&sign).exists())
    })
    .await;
    let answer = process.call(call("1")).await.unwrap();
    assert!(answer.response().await.is_ok());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_first_process_of_a_pod_leaves_no_zombies() {
    // What orphans are given to, as process 1 is.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let process = start(&starts("sleep 1000"), PATIENCE);
    let grandchild = result(&process).await;
    drop(process);
    let directory = format!("/proc/{grandchild}");
    eventually("the grandchild must be ended and reaped", || {
        !Path::new(&directory).exists()
    })
    .await;
}
