//! The gateway in this process, with manifests in the place of a cluster.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentapi_gateway::config::Config;
use agentapi_gateway::serve::{Embedding, Gateway, ServeError};
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::installation::Installation;
use super::reload::{Changes, follow};
use super::secrets::ManifestSecrets;
use super::{Arguments, HELP};
use crate::development_key::{DevelopmentKey, audit_signing_key, encryption_keys};
use crate::failure::Failure;
use crate::manifests::Manifests;
use crate::report;

/// The database inside the data folder.
const DATABASE: &str = "agentapi.db";
/// Ranges that may be dialled in spite of the gateway's deny list, where an
/// organization declares them: servers on this machine.
const LOOPBACK: &str = "127.0.0.0/8,::1/128";

/// A gateway with its organizations installed.
pub(crate) struct Embedded {
    gateway: Gateway,
    installation: Installation,
    changes: Changes,
    listen: SocketAddr,
    data: Data,
}

/// Where the store is; a temporary folder is removed when this is dropped.
enum Data {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Embedded {
    /// Reads the manifests and installs what they say.
    pub(crate) async fn start(arguments: &Arguments) -> Result<Self, Failure> {
        let key = DevelopmentKey::of_this_user()?;
        let folder = &arguments.manifests;
        // Watched before it is read, so that no change is missed.
        let changes = Changes::of(folder);
        let manifests =
            Manifests::load(folder).map_err(|error| report::manifests(folder, error))?;
        let changes = changes?;
        let data = Data::at(arguments.data.as_deref())?;
        let config = configuration(arguments, &data, &audit_signing_key()?, &encryption_keys()?)?;

        let secrets = ManifestSecrets::default();
        let embedding = Embedding {
            secrets: Arc::new(secrets.clone()),
            development: Some(key.issuer()),
            service_accounts: None,
            processes: true,
        };
        let failed = |error| Failure::new("the gateway cannot start", HELP).because(error);
        let gateway = Gateway::assemble(config, embedding).await.map_err(failed)?;
        let mut installation = Installation::new(gateway.installer(), secrets)?;
        installation.apply(manifests);
        gateway.synced().send_replace(true);
        Ok(Self {
            gateway,
            installation,
            changes,
            listen: arguments.listen,
            data,
        })
    }

    /// Serves until `stop`. `ready` is called once, with the address.
    pub(crate) async fn run(
        self,
        stop: CancellationToken,
        ready: impl FnOnce(SocketAddr),
    ) -> Result<(), Failure> {
        let Self {
            gateway,
            installation,
            changes,
            listen,
            data,
        } = self;
        let following = tokio::spawn(follow(changes, installation));
        let served = gateway.run(stop, |addresses| ready(addresses.public)).await;
        following.abort();
        drop(data);
        served.map_err(|error| not_served(listen, error))
    }
}

impl Data {
    fn at(folder: Option<&Path>) -> Result<Self, Failure> {
        let failed = |what: String, error| {
            Failure::new(what, "agentapi dev with another --data").because(error)
        };
        match folder {
            Some(folder) => std::fs::create_dir_all(folder)
                .map(|()| Self::Kept(folder.to_owned()))
                .map_err(|error| failed(format!("{} cannot be made", folder.display()), error)),
            None => tempfile::tempdir()
                .map(Self::Temporary)
                .map_err(|error| failed("no temporary folder can be made".to_owned(), error)),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

/// The gateway's configuration: its defaults and the arguments. The
/// environment is not looked at: it configures servers in a cluster.
fn configuration(
    arguments: &Arguments,
    data: &Data,
    audit_signing_key: &SecretString,
    encryption_keys: &SecretString,
) -> Result<Config, Failure> {
    let database = format!("sqlite:{}", data.path().join(DATABASE).display());
    let settings = [
        ("AGENTAPI_LISTEN", arguments.listen.to_string()),
        ("AGENTAPI_ADMIN_LISTEN", arguments.admin_listen.to_string()),
        ("AGENTAPI_DATABASE_URL", database),
        ("AGENTAPI_OUTBOUND_ALLOW", LOOPBACK.to_owned()),
        (
            "AGENTAPI_AUDIT_SIGNING_KEY",
            audit_signing_key.expose_secret().to_owned(),
        ),
        (
            "AGENTAPI_ENCRYPTION_KEYS",
            encryption_keys.expose_secret().to_owned(),
        ),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    Config::read(settings).map_err(|error| {
        Failure::invalid_input("the arguments cannot be used", HELP).because(error)
    })
}

fn not_served(listen: SocketAddr, error: ServeError) -> Failure {
    let next = match error {
        ServeError::Listen { .. } => format!("another address: --listen {}:0", listen.ip()),
        _ => HELP.to_owned(),
    };
    Failure::new("the gateway does not serve", next).because(error)
}
