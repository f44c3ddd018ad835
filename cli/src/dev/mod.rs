//! `agentapi dev`: operator and gateway in one process, on a folder of manifests.

mod arguments;
mod embedded;
mod installation;
mod reload;
mod secrets;

pub(crate) use self::arguments::Arguments;
pub(crate) use self::embedded::Embedded;

use agentapi_gateway::serve::stop_on_signal;
use agentapi_gateway::telemetry::{LogFormat, init_logs};

use crate::failure::Failure;
use crate::output;

/// What to try when this machine, not the manifests, is in the way.
const HELP: &str = "agentapi dev --help";

/// Serves until it is interrupted. Prints one line on standard output when it
/// does; everything else goes to standard error.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    init_logs(LogFormat::Text).map_err(|error| {
        Failure::new("RUST_LOG cannot be used", "unset RUST_LOG").because(error)
    })?;
    let stop = stop_on_signal()
        .map_err(|error| Failure::new("signals cannot be waited for", HELP).because(error))?;
    let embedded = Embedded::start(&arguments).await?;
    // Without its line on standard output nobody knows where it serves: what reads it has gone.
    let stop_unheard = stop.clone();
    embedded
        .run(stop, move |address| {
            if output::line(&format!("ready http://{address}")).is_err() {
                stop_unheard.cancel();
            }
        })
        .await
}
