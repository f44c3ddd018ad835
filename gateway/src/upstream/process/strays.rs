//! Processes of a session that left its process group, as daemons do (`setsid(2)`).
//!
//! They are known by the session's directory in their environment, which is
//! inherited. One that empties its environment escapes, into the same confinement.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process may start another while it is looked for: so often is looked again.
const ROUNDS: usize = 8;

/// Kills every process that has `directory` as its `TMPDIR`.
pub(super) fn kill(directory: &Path) {
    let variable = [b"TMPDIR=", directory.as_os_str().as_bytes()].concat();
    for _ in 0..ROUNDS {
        let killed = processes().filter(|process| kill_if(*process, &variable));
        if killed.count() == 0 {
            return;
        }
    }
    let directory = directory.display();
    tracing::warn!(%directory, "a session's processes start others faster than they can be ended");
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

/// Whether the process carries the variable, and was killed for it.
fn kill_if(process: Pid, variable: &[u8]) -> bool {
    if !carries(process, variable) {
        return false;
    }
    // The number may be another process's by now: this holds on to one of them.
    let Ok(held) = pidfd_open(process, PidfdFlags::empty()) else {
        return false;
    };
    carries(process, variable) && pidfd_send_signal(held, Signal::KILL).is_ok()
}

/// A process that has ended, or is not ours to look at, carries nothing.
fn carries(process: Pid, variable: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{}/environ", process.as_raw_nonzero()));
    environment.is_ok_and(|all| all.split(|byte| *byte == 0).any(|found| found == variable))
}
