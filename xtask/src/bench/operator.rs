//! `cargo xtask bench operator`: the operator with many organizations, against
//! a plain client that writes the same. Each has a control plane of its own,
//! one after the other, so that neither finds what the other left.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::measuring::{BENCH, run, with_state};
use crate::arguments::OperatorBench;
use crate::cluster::{self, service_account_kubeconfig};
use crate::state::State;
use crate::workspace::Workspace;
use crate::{cargo, progress};

const OPERATOR: &str = "agentapi-operator";

/// Builds, starts, measures and stops.
pub(super) fn execute(workspace: &Workspace, options: &OperatorBench) -> Result<()> {
    progress::heading("build (release)");
    let programs = cargo::build_released(workspace, &[OPERATOR, BENCH])?;
    let results = workspace.path("bench/results");
    let baseline = results.join("operator-baseline.json");

    progress::heading("plain client");
    on_a_new_cluster(workspace, |state, cluster| {
        let mut command = Command::new(programs.join(BENCH));
        command.arg("operator-baseline");
        cluster.pass_on(&mut command, options, &baseline);
        run(command, state)
    })?;

    progress::heading("operator");
    on_a_new_cluster(workspace, |state, cluster| {
        let mut command = Command::new(programs.join(BENCH));
        command.arg("operator");
        cluster.pass_on(&mut command, options, &results.join("operator.json"));
        command
            .arg("--baseline")
            .arg(&baseline)
            .arg("--operator")
            .arg(programs.join(OPERATOR))
            .arg("--log")
            .arg(state.log("operator"))
            .arg("--audit-log")
            .arg(state.log("audit"))
            .arg(format!(
                "--admin-port={}",
                state.port_to_listen_on("operator-admin")?
            ))
            .arg(format!("--churn={}", options.churn))
            .arg(format!("--idle={}", options.idle));
        run(command, state)
    })
}

/// A control plane with the platform's definitions, rights and rules.
struct Cluster {
    kubeconfig: PathBuf,
    operator_kubeconfig: String,
    apiserver: u32,
}

impl Cluster {
    fn pass_on(&self, command: &mut Command, options: &OperatorBench, output: &Path) {
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--operator-kubeconfig")
            .arg(&self.operator_kubeconfig)
            .arg(format!("--apiserver={}", self.apiserver))
            .arg(format!("--organizations={}", options.organizations))
            .arg(format!("--concurrency={}", options.concurrency))
            .arg("--output")
            .arg(output);
    }
}

fn on_a_new_cluster(
    workspace: &Workspace,
    measure: impl FnOnce(&mut State, &Cluster) -> Result<()>,
) -> Result<()> {
    with_state(workspace, |state| {
        let cluster = start(workspace, state)?;
        measure(state, &cluster)
    })
}

fn start(workspace: &Workspace, state: &mut State) -> Result<Cluster> {
    let kubectl = cluster::prepare(workspace, state)?;
    let apiserver = state
        .processes()
        .iter()
        .find(|recorded| recorded.name == "kube-apiserver")
        .map(|recorded| recorded.identity.pid())
        .context("the API server is not among the started programs")?;
    Ok(Cluster {
        kubeconfig: state.path("kubeconfig"),
        operator_kubeconfig: service_account_kubeconfig(state, &kubectl, OPERATOR)?,
        apiserver,
    })
}
