//! The command line.

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::{demo, dev, migrate, render, sample, token};

/// Run, try and inspect AgentAPI
#[derive(Debug, Parser)]
#[command(name = "agentapi", version, about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Walk through everything on this machine, then keep serving
    Demo(demo::Arguments),
    /// Serve a folder of manifests on this machine, without a cluster
    Dev(dev::Arguments),
    /// Print a bearer token for the embedded mode
    Token(token::Arguments),
    /// Print every object that the operator would apply
    Render(render::Arguments),
    /// Bring the schema of a database up to date
    Migrate(migrate::Arguments),
    /// Run a small MCP server to try things with
    #[command(subcommand)]
    Sample(sample::Sample),
}

/// Does what the command line says.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Dev(arguments) => dev::run(arguments).await,
        Command::Token(arguments) => token::run(arguments),
        Command::Render(arguments) => render::run(arguments),
        Command::Migrate(arguments) => migrate::run(arguments).await,
        Command::Sample(sample) => sample::run(sample).await,
    }
}
