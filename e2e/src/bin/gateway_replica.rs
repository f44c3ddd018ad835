//! A whole gateway with one organization as a process of its own, for tests that kill it.
//!
//! Prints `ready URL`. Variables: those of the gateway (`AGENTAPI_…`), and
//! `REPLICA_DOCUMENT`, a file with the organization's document.

use std::io::Write;

use agentapi_crds::tenant_config::TenantConfig;
use agentapi_e2e::oauth;
use agentapi_e2e::program::setting;
use agentapi_gateway::config::Config;
use anyhow::Result;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let document = std::fs::read_to_string(setting("REPLICA_DOCUMENT")?)?;
    let document = TenantConfig::read(&document)?;
    let served = oauth::serve(
        Config::load()?,
        document,
        CancellationToken::new(),
        |_, url| {
            let mut output = std::io::stdout().lock();
            if let Err(error) = writeln!(output, "ready {url}").and_then(|()| output.flush()) {
                tracing::error!(%error, "nobody reads where this listens");
            }
        },
    );
    Ok(served.await?)
}
