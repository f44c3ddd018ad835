//! Small MCP servers to try AgentAPI with: `config/samples/` uses nothing else.

mod clock;
mod notes;
mod progress;

use clap::Subcommand;

use crate::failure::Failure;

/// Which sample server to run.
#[derive(Debug, Subcommand)]
pub(crate) enum Sample {
    /// Notes, over standard input and output
    Notes,
    /// A clock, over Streamable HTTP; prints `ready URL` when it serves
    Clock(clock::Arguments),
}

/// Runs a sample server until its client leaves or it is interrupted.
pub(crate) async fn run(sample: Sample) -> Result<(), Failure> {
    match sample {
        Sample::Notes => notes::run().await,
        Sample::Clock(arguments) => clock::run(arguments).await,
    }
}

/// How a sample introduces itself.
fn implementation(name: &str, title: &str) -> rmcp::model::Implementation {
    rmcp::model::Implementation::new(name, env!("CARGO_PKG_VERSION")).with_title(title)
}
