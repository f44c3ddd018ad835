//! Building this workspace.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command::Run;
use crate::workspace::Workspace;

/// The features with which the end-to-end tests are built. Every build of this
/// workspace uses the same ones, so that none repeats another's work.
pub(crate) const FEATURES: &str = "agentapi-e2e/tier2,agentapi-e2e/tier3,agentapi-e2e/tier4";

/// A line of `cargo --message-format=json` about something that was built.
#[derive(Debug, Deserialize)]
pub(crate) struct Artifact {
    pub(crate) manifest_path: PathBuf,
    pub(crate) target: Target,
    pub(crate) profile: Profile,
    pub(crate) executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Profile {
    /// Whether it was built with the test harness.
    pub(crate) test: bool,
}

/// Cargo in the workspace's root.
pub(crate) fn command(workspace: &Workspace) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace.root());
    // Set for xtask by the cargo that runs it; they would confuse another one.
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"] {
        command.env_remove(variable);
    }
    command
}

/// Runs cargo with the terminal's stderr and returns what it built.
///
/// # Errors
/// When the build fails; cargo has said why.
pub(crate) fn build(workspace: &Workspace, arguments: &[&str]) -> Result<Vec<Artifact>> {
    let output = command(workspace)
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`cargo {}` failed", arguments.join(" "));
    }
    Ok(artifacts(&String::from_utf8_lossy(&output.stdout)))
}

/// Builds the platform's programs and returns the folder that holds them.
///
/// # Errors
/// When the build fails.
pub(crate) fn build_programs(workspace: &Workspace) -> Result<PathBuf> {
    build(
        workspace,
        &["build", "--workspace", "--bins", "--features", FEATURES],
    )?
    .iter()
    .filter(|artifact| artifact.target.name == "agentapi")
    .find_map(|artifact| artifact.executable.as_deref().and_then(Path::parent))
    .map(Path::to_path_buf)
    .context("the workspace builds no program `agentapi`")
}

/// Builds programs as they are released and returns the folder that holds them.
///
/// # Errors
/// When the build fails.
pub(crate) fn build_released(workspace: &Workspace, programs: &[&str]) -> Result<PathBuf> {
    let mut arguments = vec!["build", "--release"];
    arguments.extend(programs.iter().flat_map(|program| ["--bin", program]));
    build(workspace, &arguments)?
        .iter()
        .filter_map(|artifact| artifact.executable.as_deref())
        .find_map(Path::parent)
        .map(Path::to_path_buf)
        .context("the build made no program")
}

/// Runs the benches of a package.
///
/// # Errors
/// When one cannot be built or fails; cargo has said why.
pub(crate) fn bench(workspace: &Workspace, package: &str) -> Result<()> {
    let status = command(workspace)
        .args(["bench", "--package", package])
        .stdin(Stdio::null())
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("`cargo bench --package {package}` failed");
    }
    Ok(())
}

/// Runs one of the workspace's programs and returns what it printed.
///
/// # Errors
/// When it cannot be built or fails.
pub(crate) fn run(workspace: &Workspace, program: &str, arguments: &[&str]) -> Result<String> {
    let programs = build_programs(workspace)?;
    Run::new(programs.join(program))
        .args(arguments)
        .directory(workspace.root())
        .output()
}

/// The artifacts among cargo's messages.
fn artifacts(messages: &str) -> Vec<Artifact> {
    messages
        .lines()
        .filter(|line| line.contains(r#""reason":"compiler-artifact""#))
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_artifacts_are_taken_from_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"build-script-executed","package_id":"x"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","target":{"name":"t","kind":["test"]},"profile":{"test":true},"executable":"/t"}"#,
            "\n",
        );
        let found = artifacts(messages);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].executable.as_deref(), Some(Path::new("/t")));
    }
}
