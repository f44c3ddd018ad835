//! Where the keys are read.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::failure::Failure;

/// The variable that holds the keys themselves. No argument does: others see the arguments of a program.
pub(super) const VARIABLE: &str = "AGENTAPI_ENCRYPTION_KEYS";

/// Where the keys are, if not in AGENTAPI_ENCRYPTION_KEYS.
#[derive(Debug, clap::Args)]
pub(super) struct Ring {
    /// A file with the keys, in place of AGENTAPI_ENCRYPTION_KEYS
    #[arg(long, value_name = "FILE", env = "AGENTAPI_ENCRYPTION_KEYS_FILE")]
    keys_file: Option<PathBuf>,
}

impl Ring {
    /// The text of the keys; empty where there are none.
    pub(super) fn text(&self) -> Result<SecretString, Failure> {
        let value = std::env::var(VARIABLE)
            .ok()
            .filter(|value| !value.is_empty());
        match (&self.keys_file, value) {
            (None, value) => Ok(value.unwrap_or_default().into()),
            (Some(path), None) => read(path),
            (Some(_), Some(_)) => Err(Failure::invalid_input(
                format!("the keys are in {VARIABLE} and in a file"),
                format!("unset {VARIABLE}, and the command again"),
            )),
        }
    }
}

fn read(path: &Path) -> Result<SecretString, Failure> {
    let unreadable = |error| {
        let what = format!("{} cannot be read", path.display());
        Failure::invalid_input(what, "agentapi keys with another --keys-file").because(error)
    };
    Ok(std::fs::read_to_string(path).map_err(unreadable)?.into())
}

/// The failure of keys that cannot be used.
pub(super) fn unusable(error: agentapi_gateway::encryption::KeyRingError) -> Failure {
    let next = "agentapi keys rotate with the keys as the gateways have them";
    Failure::invalid_input("the keys cannot be used", next).because(error)
}
