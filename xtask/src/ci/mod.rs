//! `cargo xtask ci`: everything that must hold before a merge.

mod policy;

use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::arguments::TestOptions;
use crate::command::Run;
use crate::go_tools::{self, HELM};
use crate::workspace::Workspace;
use crate::{cargo, generate, interrupt, progress, test};

/// Runs all steps in order and stops at the first that fails.
///
/// # Errors
/// The failing step's.
pub(crate) fn execute(workspace: &Workspace) -> Result<()> {
    interrupt::install()?;
    type Step = fn(&Workspace) -> Result<()>;
    let steps: [(&str, Step); 7] = [
        ("format", format),
        ("dependency policy", policy::check),
        ("lints", lints),
        ("generated files", |workspace| {
            generate::execute(workspace, true)
        }),
        ("charts", charts),
        ("documentation", documentation),
        ("tests", all_tests),
    ];
    let mut times = Vec::new();
    for (number, (name, step)) in steps.iter().enumerate() {
        progress::heading(&format!("ci {}/{}: {name}", number + 1, steps.len()));
        let started = Instant::now();
        step(workspace).with_context(|| format!("ci step `{name}` failed"))?;
        times.push((name, progress::seconds(started.elapsed())));
    }
    progress::heading("ci passed");
    for (name, time) in times {
        progress::note(&format!("✓ {name:<20} {time:>9}"));
    }
    Ok(())
}

fn format(workspace: &Workspace) -> Result<()> {
    run_cargo(workspace, &["fmt", "--all", "--check"], &[])
}

fn lints(workspace: &Workspace) -> Result<()> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--features",
        cargo::FEATURES,
        "--",
        "--deny",
        "warnings",
    ];
    run_cargo(workspace, &arguments, &[])
}

/// Both charts, with everything on that can be turned off.
fn charts(workspace: &Workspace) -> Result<()> {
    HELM.ensure(workspace)?;
    progress::step("helm lint", || {
        Run::new(HELM.path(workspace))
            .args([
                "lint",
                "--strict",
                "--kube-version",
                &go_tools::control_plane_version(workspace)?,
            ])
            .args(["charts/agentapi-crds", "charts/agentapi"])
            .args([
                "--set",
                "namespaces.createPlatform=true,gateway.publicUrl=https://agentapi.example",
            ])
            .directory(workspace.root())
            .quiet()
    })
}

fn documentation(workspace: &Workspace) -> Result<()> {
    let arguments = [
        "doc",
        "--workspace",
        "--no-deps",
        "--features",
        cargo::FEATURES,
    ];
    run_cargo(
        workspace,
        &arguments,
        &[("RUSTDOCFLAGS", "--deny warnings")],
    )
}

fn all_tests(workspace: &Workspace) -> Result<()> {
    test::execute(
        workspace,
        &TestOptions {
            tiers: Vec::new(),
            faults: false,
            filter: None,
        },
    )
}

fn run_cargo(
    workspace: &Workspace,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<()> {
    let status = cargo::command(workspace)
        .args(arguments)
        .envs(environment.iter().copied())
        .status()
        .context("cannot start cargo")?;
    interrupt::check()?;
    if !status.success() {
        bail!("`cargo {}` failed ({status})", arguments.join(" "));
    }
    Ok(())
}
