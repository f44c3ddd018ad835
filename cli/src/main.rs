//! `agentapi`: the embedded mode, the demo, and tools around them.

mod arguments;
mod failure;
mod manifests;
mod migrate;
mod output;
mod render;
mod report;
mod sample;
mod signals;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match arguments::run(arguments::Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}
