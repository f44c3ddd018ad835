//! `cargo xtask cluster`: a real API server on this machine, and the platform
//! on it.

mod control_plane;
mod kubeconfig;
mod kubectl;
mod platform;
mod postgres;
mod redis;
mod run;

use std::path::Path;

use anyhow::{Result, bail};

pub(crate) use control_plane::kubeconfig_path;
pub(crate) use platform::{Platform, prepare, service_account_kubeconfig};
pub(crate) use postgres::Postgres;
pub(crate) use redis::Redis;

use crate::arguments::ClusterAction;
use crate::state::State;
use crate::workspace::Workspace;
use crate::{interrupt, progress};

/// Runs one of the cluster's verbs.
///
/// # Errors
/// Whatever kept the verb from being done, with what to do about it.
pub(crate) fn execute(workspace: &Workspace, action: &ClusterAction) -> Result<()> {
    interrupt::install()?;
    let directory = workspace.cluster_state();
    match action {
        ClusterAction::Up => up(workspace, &directory),
        ClusterAction::Down { delete } => down(&directory, *delete),
        ClusterAction::Kubeconfig => print_kubeconfig(&directory),
        ClusterAction::Run { detach } => run::execute(workspace, &directory, *detach),
    }
}

fn up(workspace: &Workspace, directory: &Path) -> Result<()> {
    let mut state = State::open(directory)?;
    control_plane::up(workspace, &mut state)?;
    println!("{}", kubeconfig_path(directory).display());
    Ok(())
}

/// Stops everything that was started in `directory`, and with `delete` forgets
/// it too.
///
/// # Errors
/// When a process cannot be stopped or a file cannot be removed.
pub(crate) fn down(directory: &Path, delete: bool) -> Result<()> {
    if !State::exists(directory) {
        progress::note("there is no cluster here");
        return Ok(());
    }
    let mut state = State::open(directory)?;
    if state.processes().is_empty() {
        progress::note("nothing is running");
    }
    state.stop(|_| true)?;
    if delete {
        postgres::delete_data(&state)?;
        state.forget()?;
    }
    Ok(())
}

fn print_kubeconfig(directory: &Path) -> Result<()> {
    let path = kubeconfig_path(directory);
    if !path.exists() {
        bail!("there is no cluster yet; start one with `cargo xtask cluster up`");
    }
    println!("{}", path.display());
    Ok(())
}
