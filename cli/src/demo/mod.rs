//! `agentapi demo`: starts the embedded mode on the samples and walks through it.

mod client;
mod clock;
mod mcp;
mod progress;
mod record;
mod samples;
mod tour;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use agentapi_crds::mcp_server::ServerType;
use agentapi_crds::names::default_namespace;
use agentapi_gateway::serve::stop_on_signal;
use agentapi_gateway::telemetry::{LogFormat, init_logs};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::clock::Clock;
use self::progress::Progress;
use self::samples::Samples;
use crate::dev::{self, Embedded};
use crate::development_key::DevelopmentKey;
use crate::failure::Failure;
use crate::manifests::Manifests;
use crate::{output, report};

/// Steps of the tour.
const STEPS: usize = 9;
/// What to try when this machine is in the way.
const DEV: &str = "agentapi dev --manifests config/samples";

/// How to walk.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// End after the tour instead of serving on
    #[arg(long)]
    once: bool,
    /// Folder of manifests in the place of the samples
    #[arg(long, value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// Address to serve on; a free port unless said otherwise
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// A gateway that runs beside the tour.
struct Running {
    base: String,
    stop: CancellationToken,
    gateway: JoinHandle<Result<(), Failure>>,
    _clock: Clock,
}

/// Walks through everything once, then serves until it is interrupted.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    // The steps are what a person wants to see; logs only when asked for.
    if std::env::var_os("RUST_LOG").is_some() {
        init_logs(LogFormat::Text).map_err(|error| {
            Failure::new("RUST_LOG cannot be used", "unset RUST_LOG").because(error)
        })?;
    }
    let samples = Samples::find(arguments.manifests)?;
    let mut running = walk(samples.path(), arguments.listen).await?;
    if arguments.once {
        running.stop.cancel();
    } else {
        farewell(&running.base, samples.path())?;
    }
    let ended = (&mut running.gateway).await;
    ended.unwrap_or_else(|error| Err(Failure::new("the gateway broke off", DEV).because(error)))
}

/// The tour: what is learnt in one step is used in the next ones.
async fn walk(folder: &Path, listen: SocketAddr) -> Result<Running, Failure> {
    let mut progress = Progress::of(STEPS);
    let manifests = progress.step("manifests", async { read(folder) }).await?;
    let running = progress
        .step("server", start(folder, listen, &manifests))
        .await?;
    let key = DevelopmentKey::of_this_user()?;

    let users = progress
        .step("tokens", async { tour::tokens(&running.base, &key) })
        .await?;
    let session = progress.step("session", tour::session(&users)).await?;
    progress
        .step("tools", tour::tools(&session, &kinds(&manifests)))
        .await?;
    progress.step("tool call", tour::call(&session)).await?;
    progress
        .step("prompt", tour::prompt(&users, &session))
        .await?;
    progress
        .step("isolation", tour::isolation(&users, &session))
        .await?;
    progress.step("audit", record::audit(&users)).await?;
    Ok(running)
}

fn read(folder: &Path) -> Result<(Manifests, String), Failure> {
    let manifests = Manifests::load(folder).map_err(|error| report::manifests(folder, error))?;
    let organizations = manifests.inputs.organizations.iter();
    let names: Vec<_> = organizations
        .filter_map(|found| found.metadata.name.clone())
        .collect();
    let found = format!(
        "organizations {} from {}",
        names.join(", "),
        folder.display()
    );
    Ok((manifests, found))
}

async fn start(
    folder: &Path,
    listen: SocketAddr,
    manifests: &Manifests,
) -> Result<(Running, String), Failure> {
    let clock = Clock::start(manifests).await?;
    let stop = stop_on_signal()
        .map_err(|error| Failure::new("signals cannot be waited for", DEV).because(error))?;
    let arguments = dev::Arguments {
        manifests: folder.to_owned(),
        listen,
        admin_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data: None,
    };
    let embedded = Embedded::start(&arguments).await?;
    let (tell, told) = oneshot::channel();
    let stopped = stop.clone();
    let gateway = tokio::spawn(async move {
        // Nobody listens any more only when the demo has failed, which it then tells.
        embedded
            .run(stopped, |address| {
                let _ = tell.send(address);
            })
            .await
    });
    match told.await {
        Ok(address) => {
            let base = format!("http://{address}");
            let found = format!("{base} with SQLite");
            Ok((
                Running {
                    base,
                    stop,
                    gateway,
                    _clock: clock,
                },
                found,
            ))
        }
        Err(_) => match gateway.await {
            Ok(Err(failure)) => Err(failure),
            _ => Err(Failure::new("the gateway ended before it served", DEV)),
        },
    }
}

/// How the servers of the tour's organization are reached, by the prefix of their tools.
fn kinds(manifests: &Manifests) -> BTreeMap<String, &'static str> {
    let namespace = default_namespace(tour::HOME);
    let servers = manifests.inputs.servers.iter();
    let own = servers.filter(|server| server.metadata.namespace.as_deref() == Some(&namespace));
    own.filter_map(|server| {
        let name = server.metadata.name.clone()?;
        let prefix = server.spec.tools.prefix.clone().unwrap_or(name);
        let kind = match server.spec.server_type()? {
            ServerType::Remote | ServerType::Container => "http",
            ServerType::Stdio => "stdio",
        };
        Some((prefix, kind))
    })
    .collect()
}

/// How to go on by hand.
fn farewell(base: &str, folder: &Path) -> Result<(), Failure> {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("agentapi"));
    let (program, folder) = (program.display(), folder.display());
    let (organization, user) = (tour::HOME, tour::USER);
    output::text_block(&format!(
        r#"
It keeps serving at {base}, and reloads when a file in {folder} changes. Try:

  TOKEN=$({program} token --org {organization} --user {user} --role admin)
  curl -s -H "Authorization: Bearer $TOKEN" {base}/v1/sessions
  curl -s -H "Authorization: Bearer $TOKEN" {base}/v1/audit?limit=5
  curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{{}}' {base}/v1/prompts/preview

MCP clients connect to {base}/mcp with the same header. Ctrl-C ends it.
"#
    ))
}
