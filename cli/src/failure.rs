//! Why a command failed, and what to try next.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// Exit code of manifests or arguments that a person must correct.
const INVALID_INPUT: u8 = 2;
/// Exit code of every other failure.
const FAILED: u8 = 1;

/// A command's failure: what, why, and the next command to try.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    next: String,
    code: u8,
    told: bool,
}

impl Failure {
    /// A failure with what did not work, and the command to try next.
    pub(crate) fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            source: None,
            next: next.into(),
            code: FAILED,
            told: false,
        }
    }

    /// A failure because of what a person wrote.
    pub(crate) fn invalid_input(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            code: INVALID_INPUT,
            ..Self::new(what, next)
        }
    }

    /// The same failure with its cause.
    pub(crate) fn because(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// The same failure, which the person has been told of.
    pub(crate) fn told(self) -> Self {
        Self { told: true, ..self }
    }

    /// Tells the person, unless they know.
    pub(crate) fn tell(&self) {
        if !self.told {
            eprintln!("error: {self}");
        }
    }

    /// The code that the process exits with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }

    /// What did not work and why, without the next command.
    pub(crate) fn cause(&self) -> String {
        let mut text = self.what.clone();
        let mut source = self.source.as_deref().map(|source| source as &dyn Error);
        while let Some(error) = source {
            // Many errors repeat their source in their own words.
            let message = error.to_string();
            if !text.contains(&message) {
                text.push_str(": ");
                text.push_str(&message);
            }
            source = error.source();
        }
        text
    }

    /// The next command to try.
    pub(crate) fn next(&self) -> &str {
        &self.next
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\ntry: {}", self.cause(), self.next)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_ends_with_the_next_command() {
        let failure = Failure::new("cannot listen", "agentapi dev --listen 127.0.0.1:0")
            .because(std::io::Error::other("address in use"));
        assert_eq!(
            failure.to_string(),
            "cannot listen: address in use\ntry: agentapi dev --listen 127.0.0.1:0"
        );
    }
}
