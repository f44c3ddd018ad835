//! `agentapi keys rewrap`.

use agentapi_gateway::encryption::EncryptionKeys;
use agentapi_gateway::rekeying::{self, Progress, Rewrapped};
use agentapi_gateway::store;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use secrecy::SecretString;

use super::ring::{Ring, VARIABLE, unusable};
use crate::failure::Failure;
use crate::output;

/// Values that did not open and are named; the rest is counted.
const NAMED: usize = 20;
const AGAIN: &str = "agentapi keys rewrap again: it goes on where it was";

/// Which database, and which keys.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    ring: Ring,
    /// URL as the gateways connect: postgres://… or sqlite:PATH
    #[arg(
        long,
        value_name = "URL",
        env = "AGENTAPI_DATABASE_URL",
        hide_env_values = true
    )]
    url: SecretString,
}

/// Encrypts anew, and says what is left to do.
pub(super) async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let keys = EncryptionKeys::parse(&arguments.ring.text()?).map_err(unusable)?;
    let keys = keys.ok_or_else(|| {
        let what = format!("{VARIABLE} is not set");
        Failure::invalid_input(
            what,
            "agentapi keys rewrap with the keys as the gateways have them",
        )
    })?;
    let unavailable = |error| Failure::new("the database cannot be used", AGAIN).because(error);
    let store = store::open(&arguments.url).await.map_err(unavailable)?;
    let bar = bar();
    let told = |progress: Progress| {
        bar.set_length(progress.total.max(progress.done));
        bar.set_position(progress.done);
    };
    let outcome = rekeying::rewrap(&*store, &keys, told).await;
    bar.finish_and_clear();
    conclude(&keys, &outcome.map_err(unavailable)?)
}

fn conclude(keys: &EncryptionKeys, outcome: &Rewrapped) -> Result<(), Failure> {
    let active = keys.active();
    output::line(&format!(
        "{} values are sealed with {active} now",
        outcome.replaced
    ))?;
    if outcome.overtaken > 0 {
        let overtaken = outcome.overtaken;
        output::line(&format!(
            "{overtaken} values were changed or removed meanwhile, and are as they were written"
        ))?;
    }
    for row in outcome.unopened.iter().take(NAMED) {
        let (place, error) = (row.location, &row.error);
        eprintln!("✗ {} {}: {error}", place.column.table(), place.row);
    }
    let (needed, unopened) = (outcome.still_needed.join(", "), outcome.unopened.len());
    if unopened > 0 {
        let what = format!("{unopened} values do not open, and are still sealed with {needed}");
        let next = format!(
            "agentapi keys rewrap with {needed} in {VARIABLE} as it was when they were sealed"
        );
        return Err(Failure::new(what, next));
    }
    if !outcome.still_needed.is_empty() {
        let what = format!("gateways have sealed values with {needed} meanwhile");
        let next = format!(
            "restart the gateways with {active} as the first key, and agentapi keys rewrap"
        );
        return Err(Failure::new(what, next));
    }
    for id in keys.ids().filter(|id| *id != active) {
        output::line(&format!(
            "nothing is sealed with {id} any more: agentapi keys rotate --remove {id}"
        ))?;
    }
    Ok(())
}

/// A bar where standard error is a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} values, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
