//! What commands print for programs and people: standard output, line by line.

use std::io::Write;

use crate::failure::Failure;

/// Prints a line and makes sure that it is out before anything else happens.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    text_block(&format!("{text}\n"))
}

/// Prints text as it is.
pub(crate) fn text_block(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| {
            Failure::new("standard output cannot be written", "agentapi --help").because(error)
        })
}
