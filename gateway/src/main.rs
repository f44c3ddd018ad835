//! `agentapi-gateway`: serves agents from the documents that the operator writes.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use agentapi_gateway::bridge::{self, Bridge};
use agentapi_gateway::config::Config;
use agentapi_gateway::telemetry::{LogFormat, chain, init_logs};
use agentapi_gateway::upstream::BridgeSigner;
use agentapi_gateway::{http, serve};
use clap::{Args, Parser, Subcommand};

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
    /// Print the tables of rights and problem codes for docs/API.md.
    Reference,
    /// Serve a stdio MCP server over HTTP, in its own pod. The operator sets its environment.
    Bridge(BridgeArguments),
}

#[derive(Args)]
struct BridgeArguments {
    /// Copy this program to a path instead, for a pod whose image does not have it.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["listen", "key_set", "keep_key", "command"])]
    install: Option<PathBuf>,
    /// Print the key set that bridges need, made from AGENTAPI_BRIDGE_SIGNING_KEY, instead.
    #[arg(long, conflicts_with_all = ["listen", "keep_key", "command"])]
    key_set: bool,
    /// Make that key, unless there is one, in the Secret agentapi-bridge-key of the
    /// platform's namespace, and its key set in the ConfigMap agentapi-bridge-keys, instead.
    #[arg(long, conflicts_with_all = ["listen", "command"])]
    keep_key: bool,
    /// Address and port to listen on.
    #[arg(long, default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// The server's command, started once for each MCP session.
    #[arg(last = true)]
    command: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve => run().await,
        Command::Openapi => print_openapi(),
        Command::Reference => print_reference(),
        Command::Bridge(arguments) => run_bridge(arguments).await,
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

async fn run_bridge(arguments: BridgeArguments) -> Result<(), Box<dyn std::error::Error>> {
    if let Some(to) = &arguments.install {
        return Ok(bridge::install(to)?);
    }
    if arguments.key_set {
        let key = Config::load()?.bridge_signing_key;
        let key = key.ok_or("AGENTAPI_BRIDGE_SIGNING_KEY is not set")?;
        let signer = BridgeSigner::from_pem(&key)?;
        return Ok(writeln!(std::io::stdout(), "{}", signer.key_set())?);
    }
    if arguments.keep_key {
        let namespace = Config::load()?.platform_namespace;
        bridge::keep_key(&namespace).await?;
        let kept = format!("the bridges' key and its key set are in namespace {namespace}");
        return Ok(writeln!(std::io::stdout(), "{kept}")?);
    }
    init_logs(LogFormat::Json)?;
    let shutdown = serve::stop_on_signal()?;
    let (listen, command) = (arguments.listen, arguments.command);
    let bridge = Bridge::from_environment(listen, command, bridge::variables())?;
    let ready = |address| tracing::info!(%address, "the bridge serves");
    Ok(bridge.run(shutdown, ready).await?)
}

fn print_reference() -> Result<(), Box<dyn std::error::Error>> {
    Ok(write!(std::io::stdout(), "{}", http::reference())?)
}

fn print_openapi() -> Result<(), Box<dyn std::error::Error>> {
    let document = http::openapi().to_pretty_json()?;
    // `println!` would panic where the reader of a pipe has seen enough.
    Ok(writeln!(std::io::stdout(), "{document}")?)
}
