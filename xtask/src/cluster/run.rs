//! `cargo xtask cluster run`: everything, in the foreground.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use super::Platform;
use crate::process::Identity;
use crate::state::{self, Recorded, State};
use crate::workspace::Workspace;
use crate::{cargo, interrupt, progress};

const CHECK: Duration = Duration::from_millis(500);

/// Builds and starts everything, prints `ready http://ADDRESS`, and stays
/// until Ctrl-C unless told to detach.
///
/// # Errors
/// When something cannot be started, or ends while this waits.
pub(crate) fn execute(workspace: &Workspace, directory: &Path, detach: bool) -> Result<()> {
    let programs = cargo::build_programs(workspace)?;
    let state = State::open(directory)?;
    let already = running(&state)?;
    let outcome = serve(workspace, state, directory, &programs, detach);
    if detach && outcome.is_ok() {
        return Ok(());
    }
    interrupt::acknowledge();
    // Opened again: a `cluster down` in another terminal may have been here.
    let mut state = State::open(directory)?;
    state.stop(|recorded| !already.contains(&recorded.identity))?;
    outcome
}

/// Takes the state by value, so that other commands can open it while this one
/// only waits.
fn serve(
    workspace: &Workspace,
    mut state: State,
    directory: &Path,
    programs: &Path,
    detach: bool,
) -> Result<()> {
    let platform = Platform::up(workspace, &mut state, programs)?;
    println!("ready {}", platform.endpoints.gateway);
    if detach {
        return Ok(());
    }
    progress::note("Ctrl-C stops what this command started");
    let started = state.processes().to_vec();
    let logs = state.path("logs");
    drop(state);
    stay(directory, &started, &logs)
}

fn running(state: &State) -> Result<Vec<Identity>> {
    let mut running = Vec::new();
    for recorded in state.processes() {
        if recorded.identity.is_alive()? {
            running.push(recorded.identity.clone());
        }
    }
    Ok(running)
}

/// Waits for Ctrl-C, for `cluster down`, or for the death of a process.
fn stay(directory: &Path, started: &[Recorded], logs: &Path) -> Result<()> {
    while !interrupt::requested() {
        for recorded in started {
            if recorded.identity.is_alive()? {
                continue;
            }
            let now = State::open(directory)?;
            let still_wanted = now
                .processes()
                .iter()
                .any(|current| current.identity == recorded.identity);
            if still_wanted {
                bail!(
                    "{}",
                    state::ended(&recorded.name, &logs.join(format!("{}.log", recorded.name)))
                );
            }
            progress::note("stopped by another command");
            return Ok(());
        }
        thread::sleep(CHECK);
    }
    Ok(())
}
