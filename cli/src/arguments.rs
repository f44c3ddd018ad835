//! The command line.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::{audit, demo, dev, keys, migrate, render, sample, token};

/// Run, try and inspect AgentAPI
#[derive(Debug, Parser)]
#[command(name = "agentapi", version, about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Walk through everything on this machine, then keep serving
    Demo(demo::Arguments),
    /// Serve a folder of manifests on this machine, without a cluster
    Dev(dev::Arguments),
    /// Print a bearer token for the embedded mode
    Token(token::Arguments),
    /// Print every object that the operator would apply
    Render(render::Arguments),
    /// Bring the schema of a database up to date
    Migrate(migrate::Arguments),
    /// Rotate the keys that encrypt stored credentials
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Read an exported audit record, without any server
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Run a small MCP server to try things with
    #[command(subcommand)]
    Sample(sample::Sample),
}

impl Arguments {
    /// The command line of this process; ends it with usage where that is wrong.
    pub(crate) fn of_this_process() -> Self {
        Self::parse_from(without_separator(std::env::args_os()))
    }
}

/// The words without a `--` right after `demo`. In `cargo demo -- --once` it is
/// meant for cargo, whose alias has had its own already.
fn without_separator(words: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut before = OsString::new();
    words.enumerate().filter_map(move |(index, word)| {
        let superfluous = index == 2 && word == "--" && before == "demo";
        before.clone_from(&word);
        (!superfluous).then_some(word)
    })
}

/// Does what the command line says.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Dev(arguments) => dev::run(arguments).await,
        Command::Token(arguments) => token::run(arguments),
        Command::Render(arguments) => render::run(arguments),
        Command::Migrate(arguments) => migrate::run(arguments).await,
        Command::Keys(keys) => keys::run(keys).await,
        Command::Audit(audit) => audit::run(audit),
        Command::Sample(sample) => sample::run(sample).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_separator_that_is_meant_for_cargo_is_passed_over() {
        for words in ["agentapi demo --once", "agentapi demo -- --once"] {
            let words = without_separator(words.split(' ').map(OsString::from));
            assert!(Arguments::try_parse_from(words).is_ok());
        }
    }

    #[test]
    fn other_commands_keep_their_separators() {
        let words = "agentapi token --org a --user -- --once"
            .split(' ')
            .map(OsString::from);
        assert_eq!(without_separator(words).count(), 7);
    }
}
