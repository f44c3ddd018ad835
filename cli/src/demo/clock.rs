//! The clock that the samples expect at an address of this machine.

use std::process::Stdio;

use agentapi_crds::McpServer;
use http::Uri;
use secrecy::ExposeSecret;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::failure::Failure;
use crate::manifests::Manifests;

/// Name of the `McpServer` whose program the demo runs itself.
const SERVER: &str = "clock";

/// A running clock, ended when dropped; or the one that somebody runs already.
pub(super) struct Clock {
    _process: Option<Child>,
}

impl Clock {
    /// Starts the clock where the manifests say it is, with the token they hold.
    pub(super) async fn start(manifests: &Manifests) -> Result<Self, Failure> {
        let Some((server, address)) = declared(manifests) else {
            return Ok(Self { _process: None });
        };
        if tokio::net::TcpStream::connect(&address).await.is_ok() {
            return Ok(Self { _process: None });
        }
        let next = format!("agentapi sample clock --listen {address}");
        let failed =
            |error| Failure::new("the clock cannot be started", next.clone()).because(error);
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.args(["sample", "clock", "--listen", &address]);
        if let Some(token) = token(manifests, server) {
            command.env("AGENTAPI_SAMPLE_TOKEN", token);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().map_err(failed)?;
        let output = process
            .stdout
            .take()
            .map(|output| BufReader::new(output).lines());
        let line = match output {
            Some(mut lines) => lines.next_line().await.map_err(failed)?,
            None => None,
        };
        match line {
            Some(line) if line.starts_with("ready ") => Ok(Self {
                _process: Some(process),
            }),
            _ => Err(Failure::new(
                format!("the clock does not serve at {address}"),
                next,
            )),
        }
    }
}

/// The server, and its address if that is a loopback address.
fn declared(manifests: &Manifests) -> Option<(&McpServer, String)> {
    let named = |server: &&McpServer| server.metadata.name.as_deref() == Some(SERVER);
    let server = manifests.inputs.servers.iter().find(named)?;
    let uri: Uri = server.spec.remote.as_ref()?.url.parse().ok()?;
    let authority = uri.authority()?;
    let address: std::net::SocketAddr = authority.as_str().parse().ok()?;
    address
        .ip()
        .is_loopback()
        .then(|| (server, address.to_string()))
}

fn token(manifests: &Manifests, server: &McpServer) -> Option<String> {
    let reference = &server.spec.auth.as_ref()?.bearer.as_ref()?.secret_ref;
    let namespace = server.metadata.namespace.as_deref()?;
    let mut secrets = manifests
        .secrets
        .iter()
        .map(|secret| (&secret.metadata, &secret.values));
    let wanted = secrets
        .find(|(metadata, _)| metadata.namespace == namespace && metadata.name == reference.name);
    let value = wanted?.1.get(&reference.key)?;
    String::from_utf8(value.expose_secret().to_vec()).ok()
}
