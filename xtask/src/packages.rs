//! What is installed by the ordinary package clients: apt for databases, npm
//! and pip for the peers that tests talk to. Everything that the client lets
//! us keep inside the repository goes to `.local/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::command::Run;
use crate::process::is_root;
use crate::progress;
use crate::workspace::Workspace;

const INSTALL_NODE: &str = "install Node.js 20 or newer with npm and put it on the PATH";
const INSTALL_PYTHON: &str = "install Python 3.11 or newer and put it on the PATH";

/// The folder of PostgreSQL's server programs, installed if need be.
///
/// # Errors
/// When it is missing and cannot be installed; names the command.
pub(crate) fn postgres_programs() -> Result<PathBuf> {
    ensure_apt("postgresql", newest_postgres)
}

/// The Redis server program, installed if need be.
///
/// # Errors
/// As [`postgres_programs`].
pub(crate) fn redis_program() -> Result<PathBuf> {
    ensure_apt("redis-server", || {
        Some(PathBuf::from("/usr/bin/redis-server")).filter(|path| path.exists())
    })
}

/// Debian keeps each major version in a folder of its own.
fn newest_postgres() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            programs
                .join("initdb")
                .exists()
                .then_some((version, programs))
        })
        .collect();
    versions.sort();
    versions.pop().map(|(_, programs)| programs)
}

fn ensure_apt<T>(package: &str, find: impl Fn() -> Option<T>) -> Result<T> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if !is_root() {
        bail!(
            "{package} is missing; install it with `sudo apt-get install --no-install-recommends {package}`"
        );
    }
    progress::step(&format!("apt-get install {package}"), || {
        apt(&["update"])?;
        apt(&["install", "--yes", "--no-install-recommends", package])
    })
    .with_context(|| {
        format!("cannot install {package}; try `apt-get install {package}` and run this again")
    })?;
    find().with_context(|| {
        format!("{package} was installed, but its programs are not where Debian puts them")
    })
}

fn apt(arguments: &[&str]) -> Result<()> {
    Run::new("apt-get")
        .arg("--quiet")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Keeps the packages' scripts from starting services of their own:
        // ours run from the state directory (see invoke-rc.d(8)).
        .env("RUNLEVEL", "1")
        .install_hint("this is no Debian: install PostgreSQL and Redis by its own means")
        .quiet()
}

/// A folder whose `node_modules` holds the npm peers.
///
/// # Errors
/// When npm is missing or fails.
pub(crate) fn node_peers(workspace: &Workspace) -> Result<PathBuf> {
    let source = workspace.path("e2e/peers/node");
    let target = workspace.local("peers/node");
    let inputs = [
        source.join("package.json"),
        source.join("package-lock.json"),
    ];
    once(&target, &inputs, "npm ci (e2e/peers/node)", || {
        for input in &inputs {
            if let Some(name) = input.file_name() {
                fs::copy(input, target.join(name))
                    .with_context(|| format!("cannot copy {}", input.display()))?;
            }
        }
        Run::new("npm")
            .args([
                "ci",
                "--omit=dev",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
            ])
            .directory(&target)
            .install_hint(INSTALL_NODE)
            .quiet()
    })?;
    Ok(target)
}

/// The Python interpreter of an environment that holds the PyPI peers.
///
/// # Errors
/// When Python is missing, or pip fails.
pub(crate) fn python_peers(workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.local("peers/python");
    let requirements = workspace.path("e2e/peers/python/requirements.txt");
    let python = target.join("bin/python");
    once(
        &target,
        std::slice::from_ref(&requirements),
        "pip install (e2e/peers/python)",
        || {
            Run::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&target)
                .install_hint(INSTALL_PYTHON)
                .quiet()
                .context("on Debian, `apt-get install python3-venv` completes Python")?;
            Run::new(&python)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--requirement",
                ])
                .arg(&requirements)
                .quiet()
        },
    )?;
    Ok(python)
}

/// Does `install` into an empty `target` unless it was done from the same
/// inputs before.
fn once(
    target: &Path,
    inputs: &[PathBuf],
    name: &str,
    install: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let mut hash = Sha256::new();
    for input in inputs {
        hash.update(fs::read(input).with_context(|| format!("cannot read {}", input.display()))?);
        hash.update([0]);
    }
    let wanted = hex::encode(hash.finalize());
    let stamp = target.with_extension("stamp");
    if fs::read_to_string(&stamp).is_ok_and(|done| done == wanted) && target.exists() {
        return Ok(());
    }
    if target.exists() {
        fs::remove_dir_all(target)
            .with_context(|| format!("cannot remove {}", target.display()))?;
    }
    fs::create_dir_all(target).with_context(|| format!("cannot create {}", target.display()))?;
    progress::step(name, install)?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}
