//! What every measurement needs: services of its own, and the program that measures.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{Identity, StopSignal};
use crate::state::State;
use crate::workspace::Workspace;
use crate::{cluster, interrupt};

/// The program that measures.
pub(super) const BENCH: &str = "agentapi-bench";

/// Measures with an empty state directory, and stops what was started in it.
pub(super) fn with_state(
    workspace: &Workspace,
    measure: impl FnOnce(&mut State) -> Result<()>,
) -> Result<()> {
    let directory = workspace.bench_state();
    if State::exists(&directory) {
        cluster::down(&directory, true)?;
    }
    let mut state = State::open(&directory)?;
    let outcome = measure(&mut state);
    interrupt::acknowledge();
    let stopped = state.stop(|_| true);
    outcome?;
    stopped
}

/// Runs the measuring program as part of what is stopped at the end.
pub(super) fn run(mut command: Command, state: &State) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {BENCH}"))?;
    let identity = Identity::of(child.id())?;
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for the bench")? {
            if status.success() {
                return Ok(());
            }
            bail!(
                "{BENCH} failed ({status}); logs are in {}",
                state.path("logs").display()
            );
        }
        if interrupt::requested() {
            if let Some(identity) = &identity {
                identity.stop(StopSignal::Terminate)?;
            }
            return interrupt::check();
        }
        sleep(Duration::from_millis(200));
    }
}
