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

/// The charts' values beside the defaults: everything on that can be turned off,
/// and with a key for bridges that the chart does not make.
const CHART_VALUES: [&str; 2] = [
    "namespaces.createPlatform=true,gateway.publicUrl=https://agentapi.example",
    "gateway.publicUrl=https://agentapi.example,gateway.bridgeKeySecret=own,operator.bridgeJwks=keys",
];

/// Both charts, with each of the values.
fn charts(workspace: &Workspace) -> Result<()> {
    HELM.ensure(workspace)?;
    let version = go_tools::control_plane_version(workspace)?;
    progress::step("helm lint", || {
        CHART_VALUES.iter().try_for_each(|values| {
            Run::new(HELM.path(workspace))
                .args(["lint", "--strict", "--kube-version", &version])
                .args(["charts/agentapi-crds", "charts/agentapi"])
                .args(["--set", values])
                .directory(workspace.root())
                .quiet()
        })
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
