//! Licences, banned crates, sources and advisories, by cargo-deny.

use anyhow::{Context, Result};

use crate::command::Run;
use crate::progress;
use crate::workspace::Workspace;

/// The pinned version, so that a check means the same everywhere.
const VERSION: &str = "0.20.2";

/// Checks `deny.toml`. Advisories are checked where their database can be
/// fetched; where it cannot, that is said and does not fail.
///
/// # Errors
/// When cargo-deny cannot be installed or finds something.
pub(super) fn check(workspace: &Workspace) -> Result<()> {
    install(workspace)?;
    progress::step("licences, bans, sources", || {
        deny(workspace)
            .args(["check", "licenses", "bans", "sources"])
            .quiet()
    })?;
    if let Err(error) = deny(workspace).args(["fetch", "db"]).quiet() {
        let cause = error.to_string();
        progress::note("✗ advisories: NOT CHECKED, their database cannot be fetched from here:");
        progress::note(&format!(
            "  {}",
            cause.lines().last().unwrap_or_default().trim()
        ));
        return Ok(());
    }
    progress::step("advisories", || {
        deny(workspace)
            .args(["check", "--disable-fetch", "advisories"])
            .quiet()
    })
}

fn deny(workspace: &Workspace) -> Run {
    Run::new(workspace.local("tools/bin/cargo-deny"))
        .arg("--color=never")
        // A database that asks for a password is one that cannot be fetched.
        .env("GIT_TERMINAL_PROMPT", "0")
        .directory(workspace.root())
}

/// Installs cargo-deny into `.local/tools` (two to three minutes, once).
fn install(workspace: &Workspace) -> Result<()> {
    let installed = deny(workspace).arg("--version").output();
    if installed.is_ok_and(|version| version.trim().ends_with(VERSION)) {
        return Ok(());
    }
    progress::note("installing cargo-deny (once; takes minutes)");
    progress::step("cargo install cargo-deny", || {
        Run::new("cargo")
            .args([
                "install",
                "--quiet",
                "--locked",
                "--force",
                "--version",
                VERSION,
                "--root",
            ])
            .arg(workspace.local("tools"))
            .arg("cargo-deny")
            .quiet()
    })
    .context("cannot install cargo-deny; see above")
}
