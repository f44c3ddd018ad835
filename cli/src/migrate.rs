//! `agentapi migrate`: brings the schema of a database up to date.

use agentapi_gateway::store;
use secrecy::SecretString;

use crate::failure::Failure;
use crate::output;

/// Which database to migrate.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// URL of the schema's owner: postgres://… or sqlite:PATH
    #[arg(
        long,
        value_name = "URL",
        env = "AGENTAPI_MIGRATION_URL",
        hide_env_values = true
    )]
    url: SecretString,
}

/// Applies what is missing, and says what that was.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let report = store::migrate(&arguments.url).await.map_err(|error| {
        let next = "psql -f migrations/bootstrap.sql as a superuser, then agentapi migrate as agentapi_owner";
        Failure::new("the schema could not be brought up to date", next).because(error)
    })?;
    for version in &report.applied {
        output::line(&format!("applied {version}"))?;
    }
    output::line(&format!("schema version {}", report.version))
}
