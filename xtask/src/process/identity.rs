//! Which process a recorded pid meant.

use std::fs;
use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::StopSignal;

/// How long a program may take to end by itself before it is killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process, distinguishable from a later one that got the same pid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    pid: u32,
    /// Start time in clock ticks since boot (proc_pid_stat(5), field 22).
    start_time: u64,
    /// The boot that the ticks count from.
    boot: String,
}

impl Identity {
    /// The identity of the process that has `pid` now; `None` when there is
    /// none, or only its corpse.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub(crate) fn of(pid: u32) -> Result<Option<Self>> {
        let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat,
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    || error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error).context("cannot read /proc"),
        };
        let Some((state, start_time)) = parse_stat(&stat) else {
            bail!("cannot understand /proc/{pid}/stat");
        };
        if matches!(state, 'Z' | 'X') {
            return Ok(None);
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .context("cannot read the boot's id")?;
        Ok(Some(Self {
            pid,
            start_time,
            boot: boot.trim().to_owned(),
        }))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether this very process still runs.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub(crate) fn is_alive(&self) -> Result<bool> {
        Ok(Self::of(self.pid)?.as_ref() == Some(self))
    }

    /// Asks the process to end, waits, and kills it when it does not. Another
    /// process that has the same pid by now is left alone: the pidfd is opened
    /// before the identity is compared, so it cannot be recycled in between.
    ///
    /// # Errors
    /// When the process may not be signalled or survives.
    pub(crate) fn stop(&self, signal: StopSignal) -> Result<()> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(());
        };
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(Errno::SRCH) => return Ok(()),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot open process {}", self.pid));
            }
        };
        if !self.is_alive()? {
            return Ok(());
        }
        let polite = match signal {
            StopSignal::Terminate => Signal::TERM,
            StopSignal::Interrupt => Signal::INT,
        };
        for signal in [polite, Signal::KILL] {
            match pidfd_send_signal(&process, signal) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot stop process {}", self.pid));
                }
            }
            if self.ended_within(PATIENCE)? {
                return Ok(());
            }
        }
        bail!("process {} does not end", self.pid)
    }

    fn ended_within(&self, limit: Duration) -> Result<bool> {
        let deadline = Instant::now() + limit;
        while self.is_alive()? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(true)
    }
}

/// State and start time of a line of /proc/PID/stat. The second field, the
/// program's name, may contain spaces and parentheses.
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    // Field 22 of the line, field 3 being the state just taken.
    let start_time = fields.nth(18)?.parse().ok()?;
    Some((state, start_time))
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
