//! `agentapi keys`: the keys that encrypt stored credentials.

mod rewrap;
mod ring;
mod rotate;

use crate::failure::Failure;

/// What is done with the keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Keys {
    /// Print the keys with a new one, with the new one first, or without an old one
    ///
    /// A rotation has four steps, and gateways serve through all of them: add a key,
    /// restart the gateways; let it encrypt (--activate), restart them; encrypt anew
    /// what older keys have sealed (agentapi keys rewrap); take the old key out
    /// (--remove), restart them. Nothing is changed by this command: it reads the
    /// keys from AGENTAPI_ENCRYPTION_KEYS or a file, and prints what to put there.
    Rotate(rotate::Arguments),
    /// Encrypt anew, with the first key, everything that older keys have sealed
    ///
    /// Gateways go on serving. Whoever stops it starts it again: it goes on where it was.
    Rewrap(rewrap::Arguments),
}

/// Does what the command line says.
pub(crate) async fn run(keys: Keys) -> Result<(), Failure> {
    match keys {
        Keys::Rotate(arguments) => rotate::run(&arguments),
        Keys::Rewrap(arguments) => rewrap::run(&arguments).await,
    }
}
