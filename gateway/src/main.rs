//! `agentapi-gateway`: serves agents from the documents that the operator writes.

use std::io::Write;
use std::process::ExitCode;

use agentapi_gateway::config::Config;
use agentapi_gateway::telemetry::{LogFormat, chain, init_logs};
use agentapi_gateway::{http, serve};
use clap::{Parser, Subcommand};

/// Serves agents: sessions, federated MCP, prompts and the audit record of every organization.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the organizations of the cluster. Configured by the environment: see config/gateway.toml.
    Serve,
    /// Print the OpenAPI document of the HTTP surface.
    Openapi,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve => run().await,
        Command::Openapi => print_openapi(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    init_logs(LogFormat::Json)?;
    let shutdown = serve::stop_on_signal()?;
    Ok(serve::on_kubernetes(Config::load()?, shutdown).await?)
}

fn print_openapi() -> Result<(), Box<dyn std::error::Error>> {
    let document = http::openapi().to_pretty_json()?;
    // `println!` would panic where the reader of a pipe has seen enough.
    Ok(writeln!(std::io::stdout(), "{document}")?)
}
