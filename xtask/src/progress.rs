//! What a person sees while a task runs: one line a step, on stderr, so that
//! stdout stays free for results.

use std::time::{Duration, Instant};

use anyhow::Result;

/// A line of progress.
pub(crate) fn note(text: &str) {
    eprintln!("  {text}");
}

/// The title of a longer part of the work.
pub(crate) fn heading(text: &str) {
    eprintln!("\n{text}");
}

/// Runs `work` as a step with a name and prints its outcome and time.
///
/// # Errors
/// Those of `work`, unchanged.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let result = work();
    let mark = if result.is_ok() { '✓' } else { '✗' };
    eprintln!("  {mark} {name:<44} {:>8}", seconds(started.elapsed()));
    result
}

/// Prints an error with its causes, each on a line.
pub(crate) fn failure(error: &anyhow::Error) {
    eprintln!("\n✗ {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}

/// `12.3 s`
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
