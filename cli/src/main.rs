//! `agentapi`: the embedded mode, the demo, and tools around them.

mod arguments;
mod audit;
mod demo;
mod dev;
mod development_key;
mod failure;
mod keys;
mod manifests;
mod migrate;
mod output;
mod render;
mod report;
mod sample;
mod token;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match arguments::run(arguments::Arguments::of_this_process()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            failure.exit_code()
        }
    }
}
