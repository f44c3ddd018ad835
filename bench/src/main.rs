//! `agentapi-bench`: measures the platform's programs against real services
//! that `cargo xtask bench` starts.

mod arguments;
mod gateway;
mod operator;
mod report;
mod usage;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Measure};

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().measure {
        Measure::OperatorBaseline(options) => operator::baseline(&options).await,
        Measure::Operator(options) => operator::measure(&options).await,
        Measure::Gateway(options) => gateway::measure(&options).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agentapi-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
