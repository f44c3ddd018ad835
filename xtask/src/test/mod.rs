//! `cargo xtask test`: installs what the tests need, starts the services, and
//! runs the tests by tier, or the long proofs of `--faults`.

mod bare;
mod libtest;
mod results;
mod run;
mod services;
mod suites;
mod table;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::arguments::TestOptions;
use crate::workspace::Workspace;
use crate::{interrupt, progress};
use libtest::Counts;
use services::Services;
use suites::{Group, Suites};
use table::Row;

/// The groups of docs/TESTING.md and what each talks to.
const GROUPS: [(Group, &str); 5] = [
    (Group::Tier(1), "pure: nothing installed"),
    (
        Group::Tier(2),
        "contract: PostgreSQL, Redis, Redis over REST",
    ),
    (Group::Tier(3), "API server: the whole platform"),
    (Group::Tier(4), "peers: real MCP servers, identity provider"),
    (Group::Faults, "the operator under crash, fault and drift"),
];

/// Runs the chosen tiers (all of them by default), or the long proofs, and
/// prints a table.
///
/// # Errors
/// When a test fails, a tier cannot be set up, or nothing matches.
pub(crate) fn execute(workspace: &Workspace, options: &TestOptions) -> Result<()> {
    interrupt::install()?;
    progress::heading("build");
    let suites = Suites::build(workspace)?;
    let mut services = Services::new(workspace, suites.programs())?;
    let outcome = run_groups(workspace, options, &suites, &mut services);
    interrupt::acknowledge();
    progress::heading("stop");
    let stopped = services.stop();
    let rows = outcome?;
    stopped?;
    if options.faults {
        println!("\n{}", results::table(workspace)?);
    }
    println!("\n{}", table::render(&rows));
    conclude(&rows)
}

/// Whether the command line asks for a group.
fn is_chosen(group: Group, options: &TestOptions) -> bool {
    match group {
        Group::Tier(tier) => {
            !options.faults && (options.tiers.is_empty() || options.tiers.contains(&tier))
        }
        Group::Faults => options.faults,
    }
}

fn run_groups(
    workspace: &Workspace,
    options: &TestOptions,
    suites: &Suites,
    services: &mut Services,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (group, what) in GROUPS {
        if !is_chosen(group, options) {
            continue;
        }
        progress::heading(&format!("{group} – {what}"));
        let started = Instant::now();
        let filter = options.filter.as_deref();
        let result = services
            .set_up(group)
            .and_then(|()| run::group(workspace, suites, group, services, filter));
        interrupt::check()?;
        if let Err(error) = &result {
            progress::failure(error);
        }
        rows.push(Row {
            group,
            what,
            result,
            time: started.elapsed(),
        });
    }
    Ok(rows)
}

/// The last line, and the exit code.
fn conclude(rows: &[Row]) -> Result<()> {
    let total: Counts = rows
        .iter()
        .filter_map(|row| row.result.as_ref().ok())
        .copied()
        .sum();
    println!("{} passed, {} failed", total.passed, total.failed);
    // The whole errors have been shown where they happened.
    let broken: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let error = row.result.as_ref().err()?.to_string();
            Some(format!(
                "{}: {}",
                row.group,
                error.lines().next().unwrap_or_default()
            ))
        })
        .collect();
    if !broken.is_empty() {
        bail!("could not run {}", broken.join("; "));
    }
    if total.failed > 0 {
        bail!("{} tests failed", total.failed);
    }
    if total.passed == 0 {
        bail!("no test matches");
    }
    Ok(())
}
