//! PostgreSQL from Debian's package, with a data directory of its own.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::command::Run;
use crate::packages;
use crate::process::{Daemon, StopSignal, User};
use crate::state::State;
use crate::workspace::Workspace;
use crate::{http, progress};

const NAME: &str = "postgres";
const BOOTSTRAP: &str = "migrations/bootstrap.sql";

/// How to reach the running database, as each of its roles.
#[derive(Debug)]
pub(crate) struct Postgres {
    /// As the superuser, to the database `postgres`.
    pub(crate) superuser_url: String,
    /// As the schema's owner, to the database `agentapi`.
    pub(crate) owner_url: String,
    /// As the gateway's role, to the database `agentapi`.
    pub(crate) gateway_url: String,
}

impl Postgres {
    /// Starts PostgreSQL unless it runs, and makes the platform's roles and
    /// database unless they are there.
    ///
    /// # Errors
    /// When it is not installed (with what installs it) or does not start.
    pub(crate) fn up(workspace: &Workspace, state: &mut State) -> Result<Self> {
        let programs = packages::postgres_programs()?;
        let password = state.password("postgres")?;
        if !state.runs(NAME)? {
            start(&programs, state, &password)?;
        }
        let postgres = Self::urls(state)?;
        postgres.bootstrap(workspace, &programs, state)?;
        Ok(postgres)
    }

    fn urls(state: &mut State) -> Result<Self> {
        let port = state.port(NAME)?;
        let mut url = |user: &str, database: &str| -> Result<String> {
            let password = state.password(user)?;
            Ok(format!(
                "postgres://{user}:{password}@127.0.0.1:{port}/{database}"
            ))
        };
        Ok(Self {
            superuser_url: url("postgres", "postgres")?,
            owner_url: url("agentapi_owner", "agentapi")?,
            gateway_url: url("agentapi_gateway", "agentapi")?,
        })
    }

    /// Runs the platform's bootstrap script, which may run again.
    fn bootstrap(&self, workspace: &Workspace, programs: &Path, state: &mut State) -> Result<()> {
        Run::new(programs.join("psql"))
            .args([
                "--no-psqlrc",
                "--quiet",
                "--set",
                "ON_ERROR_STOP=1",
                "--file",
            ])
            .arg(workspace.path(BOOTSTRAP))
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", state.port(NAME)?.to_string())
            .env("PGUSER", "postgres")
            .env("PGPASSWORD", state.password("postgres")?)
            .env("PGDATABASE", "postgres")
            .env("AGENTAPI_OWNER_PASSWORD", state.password("agentapi_owner")?)
            .env(
                "AGENTAPI_GATEWAY_PASSWORD",
                state.password("agentapi_gateway")?,
            )
            .quiet()
    }
}

fn start(programs: &Path, state: &mut State, password: &str) -> Result<()> {
    let port = state.port_to_listen_on(NAME)?;
    let user = User::unprivileged()?;
    let data = data_directory(state, user.as_ref());
    if !data.join("PG_VERSION").exists() {
        progress::step("initdb", || {
            initialise(programs, &data, user.as_ref(), password)
        })?;
    }
    let settings = [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        "max_connections=200".to_owned(),
        // Survives the death of the process, not of the machine.
        "fsync=off".to_owned(),
    ];
    let daemon = Daemon {
        name: NAME,
        program: programs.join("postgres"),
        arguments: ["-D".to_owned(), data.display().to_string()]
            .into_iter()
            .chain(
                settings
                    .into_iter()
                    .flat_map(|setting| ["-c".to_owned(), setting]),
            )
            .collect(),
        environment: Vec::new(),
        directory: data,
        user,
        // Fast shutdown: does not wait for clients to leave.
        stop: StopSignal::Interrupt,
    };
    state.start(&daemon, || http::accepts(port) && is_ready(programs, port))
}

fn is_ready(programs: &Path, port: u16) -> bool {
    Run::new(programs.join("pg_isready"))
        .args(["--host=127.0.0.1", "--port"])
        .arg(port.to_string())
        .quiet()
        .is_ok()
}

/// Where the data is: in the state directory or, where the unprivileged user
/// cannot get there (a clone below /root, say), in /var/tmp.
fn data_directory(state: &State, user: Option<&User>) -> PathBuf {
    let preferred = state.path("postgres");
    match user {
        Some(user) if !user.can_enter(&state.path("")) => elsewhere(&preferred),
        _ => preferred,
    }
}

fn elsewhere(preferred: &Path) -> PathBuf {
    let hash = hex::encode(Sha256::digest(preferred.as_os_str().as_encoded_bytes()));
    Path::new("/var/tmp").join(format!(
        "agentapi-postgres-{}",
        hash.get(..16).unwrap_or(&hash)
    ))
}

/// Removes the data, wherever it is.
///
/// # Errors
/// When it cannot be removed.
pub(crate) fn delete_data(state: &State) -> Result<()> {
    let user = User::unprivileged()?;
    let data = data_directory(state, user.as_ref());
    if data.exists() {
        fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
    }
    Ok(())
}

fn initialise(programs: &Path, data: &Path, user: Option<&User>, password: &str) -> Result<()> {
    if data.exists() {
        // What an interrupted attempt left.
        fs::remove_dir_all(data).with_context(|| format!("cannot remove {}", data.display()))?;
    }
    DirBuilder::new()
        .mode(0o700)
        .create(data)
        .with_context(|| format!("cannot create {}", data.display()))?;
    let password_file = data.with_extension("password");
    let _ = fs::remove_file(&password_file);
    OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&password_file)
        .and_then(|mut file| file.write_all(password.as_bytes()))
        .with_context(|| format!("cannot write {}", password_file.display()))?;
    if let Some(user) = user {
        user.own(data)?;
        user.own(&password_file)?;
    }
    let result = Run::new(programs.join("initdb"))
        .args([
            "--no-sync",
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ])
        .arg(format!("--pwfile={}", password_file.display()))
        .arg("-D")
        .arg(data)
        .directory(data)
        .user(user)
        .quiet();
    fs::remove_file(&password_file)
        .with_context(|| format!("cannot remove {}", password_file.display()))?;
    result
}
