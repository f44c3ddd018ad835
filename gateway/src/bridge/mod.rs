//! The bridge: MCP Streamable HTTP in front of a stdio server (`agentapi-gateway bridge`).
//!
//! It runs in the server's own pod and starts the command once for each MCP
//! session, each child with its own directory and confined to it
//! ([`crate::upstream::process`]), in the working directory of the server's image. Who may speak to it is decided by
//! tokens that the gateway signs for this server alone ([`crate::upstream::BridgeVerifier`]);
//! without keys to check them with it does not start.

mod children;
mod endpoint;
mod install;
mod key;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use install::install;
pub use key::{KeyError, keep_key};

use crate::upstream::process::Launch;
use crate::upstream::{BridgeTokenError, BridgeVerifier};
use children::Children;

/// The keys that tokens are checked with, as a JSON Web Key Set.
const KEYS: &str = "AGENTAPI_BRIDGE_JWKS";
/// The audience that tokens must have.
const AUDIENCE: &str = "AGENTAPI_BRIDGE_AUDIENCE";
/// Starts of the names of variables that are the platform's and the cluster's, not the server's.
const FOREIGN_VARIABLES: [&str; 2] = ["AGENTAPI_", "KUBERNETES_"];
/// Variables that describe a place; children have places of their own.
const PLACES: [&str; 4] = ["HOME", "TMPDIR", "PWD", "OLDPWD"];

/// Why the bridge does not run.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// A variable is absent.
    #[error("the environment variable {0} is not set: the operator sets it for every stdio server")]
    NotSet(&'static str),
    /// The keys cannot be used.
    #[error("{KEYS} cannot be used")]
    Keys(#[from] BridgeTokenError),
    /// There is no command.
    #[error("no command is given: agentapi-gateway bridge -- COMMAND [ARGUMENT]…")]
    NoCommand,
    /// The address cannot be listened on, or serving failed.
    #[error("the bridge cannot serve on {address}")]
    Serve {
        /// Where it should.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The program cannot be copied.
    #[error("the program cannot be copied to {}", to.display())]
    Install {
        /// Where it should be.
        to: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// What to bridge to, and where.
#[derive(Debug)]
pub struct Bridge {
    listen: SocketAddr,
    launch: Launch,
    verifier: BridgeVerifier,
}

impl Bridge {
    /// A bridge to `command`, with what the operator has set in the environment.
    ///
    /// # Errors
    /// See [`BridgeError`].
    pub fn from_environment(
        listen: SocketAddr,
        command: Vec<String>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, BridgeError> {
        let mut env: BTreeMap<String, String> = variables.into_iter().collect();
        let mut own = |name| env.remove(name).ok_or(BridgeError::NotSet(name));
        let (keys, audience) = (own(KEYS)?, own(AUDIENCE)?);
        if command.is_empty() {
            return Err(BridgeError::NoCommand);
        }
        let passed = env.into_iter().filter(|(name, _)| {
            !FOREIGN_VARIABLES
                .iter()
                .any(|start| name.starts_with(start))
                && !PLACES.contains(&name.as_str())
        });
        Ok(Self {
            listen,
            verifier: BridgeVerifier::new(&keys, &audience)?,
            launch: Launch {
                name: audience,
                command,
                args: vec![],
                directory: image_directory(),
                env: passed
                    .map(|(name, value)| (name, SecretString::from(value)))
                    .collect(),
            },
        })
    }

    /// Serves until `shutdown`; all children end with it. `ready` is called
    /// with the address when connections are taken.
    ///
    /// # Errors
    /// [`BridgeError::Serve`].
    pub async fn run(
        self,
        shutdown: CancellationToken,
        ready: impl FnOnce(SocketAddr),
    ) -> Result<(), BridgeError> {
        let address = self.listen;
        let failed = |source| BridgeError::Serve { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        ready(listener.local_addr().map_err(failed)?);
        let router = endpoint::router(self.verifier, Children::new(self.launch));
        axum::serve(listener, router)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
            .map_err(failed)
    }
}

/// Where the image's `WORKDIR` puts this process. One without is put into the
/// root, which is no place to start in: its children start in their own.
fn image_directory() -> Option<PathBuf> {
    let directory = std::env::current_dir().ok()?;
    (directory != Path::new("/")).then_some(directory)
}

/// This process's environment, without what is not text.
pub fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod bridge_tests;
