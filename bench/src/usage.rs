//! What a process uses, from /proc (proc(5)).

use std::fs;

use anyhow::{Context, Result};

/// Ticks of a second in /proc: USER_HZ, which Linux shows as 100 on every
/// architecture that the platform is built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory, descriptors and threads of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Resident memory that is backed by no file, in KiB: heap and stacks.
    pub(crate) anonymous_kib: f64,
    /// Open descriptors.
    pub(crate) descriptors: f64,
    /// Threads.
    pub(crate) threads: f64,
}

impl Usage {
    /// What a process uses now.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .with_context(|| format!("process {pid} is gone: its log says why"))?;
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .and_then(|rest| rest.split_whitespace().next())
                .and_then(|number| number.parse::<f64>().ok())
                .with_context(|| format!("/proc/{pid}/status has no {name}"))
        };
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        Ok(Self {
            anonymous_kib: field("RssAnon:")?,
            descriptors: descriptors as f64,
            threads: field("Threads:")?,
        })
    }
}

/// CPU time that a process has used so far, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} is gone"))?;
    // The program's name, in parentheses, may hold anything; utime and stime are fields 14 and 15.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
    };
    let (user, system) = ticks(11).zip(ticks(12)).context("no CPU time in /proc")?;
    Ok((user + system) / TICKS_PER_SECOND)
}
