//! Running test programs and reading their results as they come.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use super::libtest::{self, Counts};
use super::services::Services;
use super::suites::{Group, Suites};
use crate::workspace::Workspace;
use crate::{cargo, interrupt, progress};

/// No program of tests takes longer, unless something hangs.
const LIMIT: Duration = Duration::from_secs(20 * 60);
/// The same for the long proofs.
const FAULTS_LIMIT: Duration = Duration::from_secs(4 * 60 * 60);
const CHECK: Duration = Duration::from_millis(200);

/// Runs all of a group's tests.
///
/// # Errors
/// When there are none, or one of the programs cannot be run. A failing test
/// is no error but a count.
pub(super) fn group(
    workspace: &Workspace,
    suites: &Suites,
    group: Group,
    services: &Services,
    filter: Option<&str>,
) -> Result<Counts> {
    let mut total = Counts::default();
    let needs_nothing = group == Group::Tier(1);
    let limit = match group {
        Group::Tier(_) => LIMIT,
        Group::Faults => FAULTS_LIMIT,
    };
    for suite in suites.of(group) {
        let mut command = Command::new(&suite.executable);
        command
            .current_dir(&suite.directory)
            .env("CARGO_MANIFEST_DIR", &suite.directory)
            .args(filter);
        // Tests of the first tier must not come to depend on services.
        if !needs_nothing {
            command.envs(
                services
                    .environment()
                    .iter()
                    .map(|(name, value)| (name, value)),
            );
        }
        let log = services.log(&suite.name);
        total += watch(&suite.name, command, &log, !needs_nothing, limit)?;
    }
    if needs_nothing {
        let mut command = cargo::command(workspace);
        command.args([
            "test",
            "--workspace",
            "--doc",
            "--quiet",
            "--no-fail-fast",
            "--features",
            cargo::FEATURES,
        ]);
        if let Some(filter) = filter {
            command.args(["--", filter]);
        }
        total += watch(
            "documentation examples",
            command,
            &services.log("documentation"),
            false,
            LIMIT,
        )?;
    }
    if filter.is_none() && total == Counts::default() {
        bail!("there are no tests in this group");
    }
    Ok(total)
}

/// Runs one program of tests, with a line for each test where `verbose`.
fn watch(
    name: &str,
    mut command: Command,
    log: &Path,
    verbose: bool,
    limit: Duration,
) -> Result<Counts> {
    let started = Instant::now();
    let mut log_file =
        File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let errors = log_file
        .try_clone()
        .with_context(|| format!("cannot write {}", log.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        // A group of its own, so that what the tests started can be ended too.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot run the tests of {name}"))?;
    let mut report = Report::default();
    let hung = read(&mut child, started, limit, |line| {
        report.line(line, verbose);
        writeln!(log_file, "{line}").with_context(|| format!("cannot write {}", log.display()))
    })?;
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for {name}"))?;
    interrupt::check()?;
    if hung {
        eprintln!(
            "    {name} did not end within {} minutes and was killed",
            limit.as_secs() / 60
        );
    }
    if !status.success() && report.counts.failed == 0 {
        eprintln!("    {name} ended without a result ({status})");
        report.counts.failed += 1;
    }
    let mark = if report.counts.failed == 0 {
        '✓'
    } else {
        '✗'
    };
    eprintln!(
        "  {mark} {name:<40} {:>4} passed {:>3} failed {:>8}",
        report.counts.passed,
        report.counts.failed,
        progress::seconds(started.elapsed())
    );
    if report.counts.failed > 0 {
        eprintln!(
            "{}\n    the whole output is in {}",
            report.failures,
            log.display()
        );
    }
    Ok(report.counts)
}

/// What was learned from the output so far.
#[derive(Debug, Default)]
struct Report {
    counts: Counts,
    /// The harness's section on failed tests, with their output.
    failures: String,
    in_failures: bool,
}

impl Report {
    fn line(&mut self, line: &str, verbose: bool) {
        if let Some(counts) = libtest::summary(line) {
            self.counts += counts;
            self.in_failures = false;
        } else if line == "failures:" {
            self.in_failures = true;
        } else if self.in_failures {
            self.failures.push_str("    ");
            self.failures.push_str(line);
            self.failures.push('\n');
        } else if let Some((test, outcome)) = libtest::outcome(line)
            && (verbose || outcome == "FAILED")
        {
            eprintln!("    {outcome:<7} {test}");
        }
    }
}

/// Ends a program of tests and whatever it started.
fn kill_group(child: &Child) -> Result<()> {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let group = group.context("a test program without a process id")?;
    // The child has not been waited for, so its id cannot mean another one.
    kill_process_group(group, Signal::KILL).context("cannot kill a test program")
}

/// Hands every line of the program's output to `each`; kills the program when
/// it takes too long (and says so) or the user interrupts.
fn read(
    child: &mut Child,
    started: Instant,
    limit: Duration,
    mut each: impl FnMut(&str) -> Result<()>,
) -> Result<bool> {
    let Some(output) = child.stdout.take() else {
        bail!("the output of a test program is not piped");
    };
    let (sender, lines) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if sender
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                break;
            }
        }
    });
    let mut hung = false;
    loop {
        match lines.recv_timeout(CHECK) {
            Ok(line) => each(&line)?,
            Err(RecvTimeoutError::Disconnected) => break,
            // A process that a test left behind may keep the pipe open.
            Err(RecvTimeoutError::Timeout)
                if child.try_wait().is_ok_and(|status| status.is_some()) =>
            {
                break;
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if interrupt::requested() || started.elapsed() > limit {
            hung = !interrupt::requested();
            kill_group(child)?;
            break;
        }
    }
    drop(lines);
    // Left alone where its pipe is still held by another process.
    drop(reader);
    Ok(hung)
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
