//! Set-up, tests, generated files, the local control plane and CI of AgentAPI.

mod arguments;
mod bench;
mod cargo;
mod ci;
mod cluster;
mod command;
mod generate;
mod go_tools;
mod http;
mod interrupt;
mod packages;
mod process;
mod progress;
mod random;
#[cfg(test)]
mod scratch;
mod state;
mod test;
mod wait;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Task};
use crate::workspace::Workspace;

fn main() -> ExitCode {
    let workspace = Workspace::current();
    let outcome = match Arguments::parse().task {
        Task::Cluster { action } => cluster::execute(&workspace, &action),
        Task::Generate { check } => generate::execute(&workspace, check),
        Task::Test(options) => test::execute(&workspace, &options),
        Task::Bench { what } => bench::execute(&workspace, &what),
        Task::Ci => ci::execute(&workspace),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::failure(&error);
            ExitCode::FAILURE
        }
    }
}
