//! `agentapi audit`: an exported audit record, read without any server.

mod verify;

use crate::failure::Failure;

/// What is done with a record.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Audit {
    /// Verify an exported record: every hash, chain, checkpoint and signature
    ///
    /// Exits with 0 if the record is whole, with 1 if anything was changed,
    /// removed, moved or cut off (the first bad record is named), and with 2 if
    /// the file is no export.
    Verify(verify::Arguments),
}

/// Does what the command line says.
pub(crate) fn run(audit: Audit) -> Result<(), Failure> {
    match audit {
        Audit::Verify(arguments) => verify::run(arguments),
    }
}
