//! `cargo xtask bench gateway`: hot operations by criterion, and the gateway's
//! work against the bare statements that it needs, on a PostgreSQL and a Redis of its own.

use std::process::Command;

use anyhow::Result;

use super::measuring::{BENCH, run, with_state};
use crate::arguments::GatewayBench;
use crate::cluster::{Postgres, Redis};
use crate::workspace::Workspace;
use crate::{cargo, progress};

/// The subject that criterion measures.
const HOT: &str = "hot";
/// Where criterion leaves what it measured.
const CRITERION: &str = "target/criterion";

/// Builds, starts, measures and stops.
pub(super) fn execute(workspace: &Workspace, options: &GatewayBench) -> Result<()> {
    if options.only.is_empty() || options.only.iter().any(|subject| subject == HOT) {
        progress::heading("hot operations");
        cargo::bench(workspace, BENCH)?;
    }
    progress::heading("build (release)");
    let programs = cargo::build_released(workspace, &[BENCH])?;

    progress::heading("gateway");
    with_state(workspace, |state| {
        let postgres = Postgres::up(workspace, state)?;
        let redis = Redis::up(state)?;
        let mut command = Command::new(programs.join(BENCH));
        command
            .arg("gateway")
            .args(options.only.iter().flat_map(|subject| ["--only", subject]))
            .arg(format!("--churn={}", options.churn))
            .arg("--criterion")
            .arg(workspace.path(CRITERION))
            .arg("--output")
            .arg(workspace.path("bench/results/gateway.json"))
            // As the end-to-end tests name them, whose databases the measurements use.
            .env("AGENTAPI_TEST_POSTGRES_URL", postgres.superuser_url)
            .env("AGENTAPI_TEST_REDIS_URL", redis.url);
        run(command, state)
    })
}
