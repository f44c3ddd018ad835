//! `cargo xtask bench`: measurements in release builds, each with a table on
//! stdout and JSON under `bench/results/`.

mod gateway;
mod measuring;
mod operator;

use anyhow::Result;

use crate::arguments::BenchTask;
use crate::interrupt;
use crate::workspace::Workspace;

/// Runs one of the measurements.
///
/// # Errors
/// When something cannot be built, started or measured. A bar that is missed
/// is in the table.
pub(crate) fn execute(workspace: &Workspace, task: &BenchTask) -> Result<()> {
    interrupt::install()?;
    match task {
        BenchTask::Operator(options) => operator::execute(workspace, options),
        BenchTask::Gateway(options) => gateway::execute(workspace, options),
    }
}
