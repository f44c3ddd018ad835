//! `cargo xtask generate`: committed files that come from the code.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{cargo, progress};

const CUSTOM_RESOURCES: &str = "charts/agentapi-crds/templates";
const OPENAPI: &str = "docs/openapi.json";
const API: &str = "docs/API.md";
/// What stands between these lines of [`API`] comes from the code.
const REFERENCE: [&str; 2] = ["<!-- reference: begin -->\n", "<!-- reference: end -->"];

/// A file as the code says it should be.
#[derive(Debug)]
struct Generated {
    path: PathBuf,
    content: String,
}

/// Writes the generated files or, with `check`, compares them.
///
/// # Errors
/// When a generator fails or, with `check`, a committed file differs.
pub(crate) fn execute(workspace: &Workspace, check: bool) -> Result<()> {
    let mut files = custom_resources(workspace)?;
    files.push(openapi(workspace)?);
    files.push(reference(workspace)?);
    if check {
        return compare(workspace, &files);
    }
    for file in &files {
        write(file)?;
        progress::note(&format!("wrote {}", workspace.display(&file.path)));
    }
    Ok(())
}

fn custom_resources(workspace: &Workspace) -> Result<Vec<Generated>> {
    let scratch = workspace.local("generated/crds");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)
            .with_context(|| format!("cannot empty {}", scratch.display()))?;
    }
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    cargo::run(workspace, "generate-crds", &[&scratch.to_string_lossy()])?;
    let entries =
        fs::read_dir(&scratch).with_context(|| format!("cannot list {}", scratch.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", scratch.display()))?;
        files.push(Generated {
            path: workspace.path(CUSTOM_RESOURCES).join(entry.file_name()),
            content: read(&entry.path())?,
        });
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn openapi(workspace: &Workspace) -> Result<Generated> {
    Ok(Generated {
        path: workspace.path(OPENAPI),
        content: cargo::run(workspace, "agentapi-gateway", &["openapi"])?,
    })
}

/// The page about the HTTP surface, with its tables of rights and problem codes.
fn reference(workspace: &Workspace) -> Result<Generated> {
    let path = workspace.path(API);
    let page = read(&path)?;
    let tables = cargo::run(workspace, "agentapi-gateway", &["reference"])?;
    let parts = page.split_once(REFERENCE[0]).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(REFERENCE[1])?;
        Some((before, after))
    });
    let (before, after) = parts.with_context(|| {
        format!(
            "{API} has no lines {} and {}",
            REFERENCE[0].trim(),
            REFERENCE[1]
        )
    })?;
    let content = format!(
        "{before}{}\n{tables}\n{}{after}",
        REFERENCE[0], REFERENCE[1]
    );
    Ok(Generated { path, content })
}

fn compare(workspace: &Workspace, files: &[Generated]) -> Result<()> {
    let differing: Vec<String> = files
        .iter()
        .filter(|file| {
            fs::read_to_string(&file.path).map_or(true, |committed| committed != file.content)
        })
        .map(|file| workspace.display(&file.path).to_string())
        .chain(leftovers(workspace, files)?)
        .collect();
    if differing.is_empty() {
        progress::note(&format!("{} generated files are up to date", files.len()));
        return Ok(());
    }
    bail!(
        "generated files differ from the code: {}; run `cargo xtask generate` and commit them",
        differing.join(", ")
    )
}

/// Custom resource definitions that no code generates any more.
fn leftovers(workspace: &Workspace, files: &[Generated]) -> Result<Vec<String>> {
    let folder = workspace.path(CUSTOM_RESOURCES);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        if !files.iter().any(|file| file.path == path) {
            names.push(workspace.display(&path).to_string());
        }
    }
    Ok(names)
}

fn write(file: &Generated) -> Result<()> {
    if let Some(folder) = file.path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::write(&file.path, &file.content)
        .with_context(|| format!("cannot write {}", file.path.display()))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
#[path = "generate_tests.rs"]
mod tests;
