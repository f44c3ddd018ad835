//! The command line.

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::sample;

/// Run, try and inspect AgentAPI
#[derive(Debug, Parser)]
#[command(name = "agentapi", version, about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a small MCP server to try things with
    #[command(subcommand)]
    Sample(sample::Sample),
}

/// Does what the command line says.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Sample(sample) => sample::run(sample).await,
    }
}
