//! `cargo xtask test`: installs what the tests need, starts the services, and
//! runs the tests by tier.

mod libtest;
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
use suites::Suites;
use table::Row;

/// The tiers of docs/TESTING.md and what each talks to.
const TIERS: [(u8, &str); 4] = [
    (1, "pure: nothing installed"),
    (2, "contract: PostgreSQL, Redis"),
    (3, "API server: the whole platform"),
    (4, "peers: real MCP servers, identity provider"),
];

/// Runs the chosen tiers (all of them by default) and prints a table.
///
/// # Errors
/// When a test fails, a tier cannot be set up, or nothing matches.
pub(crate) fn execute(workspace: &Workspace, options: &TestOptions) -> Result<()> {
    interrupt::install()?;
    progress::heading("build");
    let suites = Suites::build(workspace)?;
    let mut services = Services::new(workspace, suites.programs())?;
    let outcome = run_tiers(workspace, options, &suites, &mut services);
    interrupt::acknowledge();
    progress::heading("stop");
    let stopped = services.stop();
    let rows = outcome?;
    stopped?;
    println!("\n{}", table::render(&rows));
    conclude(&rows)
}

fn run_tiers(
    workspace: &Workspace,
    options: &TestOptions,
    suites: &Suites,
    services: &mut Services,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (tier, what) in TIERS {
        if !options.tiers.is_empty() && !options.tiers.contains(&tier) {
            continue;
        }
        progress::heading(&format!("tier {tier} – {what}"));
        let started = Instant::now();
        let result = services
            .set_up(tier)
            .and_then(|()| run::tier(workspace, suites, tier, services, options.filter.as_deref()));
        interrupt::check()?;
        if let Err(error) = &result {
            progress::failure(error);
        }
        rows.push(Row {
            tier,
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
                "tier {}: {}",
                row.tier,
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
