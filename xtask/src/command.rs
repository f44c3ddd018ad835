//! Running other programs to their end, with errors that say what failed.

use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

/// How many lines of a failed program's output an error shows.
const TAIL: usize = 30;

/// A program to be run, written as a chain.
#[derive(Debug)]
pub(crate) struct Run {
    command: Command,
    input: Option<Vec<u8>>,
    hint: Option<&'static str>,
}

impl Run {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            command: Command::new(program),
            input: None,
            hint: None,
        }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    pub(crate) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// What to do when the program itself is missing.
    pub(crate) fn install_hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    pub(crate) fn user(mut self, user: Option<&crate::process::User>) -> Self {
        if let Some(user) = user {
            user.assume(&mut self.command);
        }
        self
    }

    /// Runs silently and returns stdout.
    ///
    /// # Errors
    /// When the program is missing or ends with another code than zero; the
    /// error carries the end of its output.
    pub(crate) fn output(mut self) -> Result<String> {
        self.command
            .stdin(if self.input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self
            .command
            .spawn()
            .map_err(|error| self.not_started(error))?;
        if let (Some(input), Some(mut stdin)) = (self.input.take(), child.stdin.take()) {
            match stdin.write_all(&input) {
                // A program that ends early says why itself.
                Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                    return Err(error)
                        .with_context(|| format!("cannot write to `{}`", self.line()));
                }
                _ => {}
            }
        }
        let output = child
            .wait_with_output()
            .with_context(|| format!("cannot wait for `{}`", self.line()))?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let text = if stderr.trim().is_empty() {
                &stdout
            } else {
                &*stderr
            };
            bail!(
                "`{}` failed ({})\n{}",
                self.line(),
                output.status,
                tail(text, TAIL)
            );
        }
        Ok(stdout)
    }

    /// Runs silently.
    ///
    /// # Errors
    /// As [`Run::output`].
    pub(crate) fn quiet(self) -> Result<()> {
        self.output().map(drop)
    }

    /// The command line, as a person would type it.
    fn line(&self) -> String {
        std::iter::once(self.command.get_program())
            .chain(self.command.get_args())
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn not_started(&self, error: std::io::Error) -> anyhow::Error {
        let program = self.command.get_program().to_string_lossy().into_owned();
        match (error.kind(), self.hint) {
            (ErrorKind::NotFound, Some(hint)) => anyhow!("`{program}` is not installed: {hint}"),
            _ => anyhow::Error::new(error).context(format!("cannot start `{program}`")),
        }
    }
}

/// The last `count` lines of `text`.
pub(crate) fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let from = lines.len().saturating_sub(count);
    lines.get(from..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_reported_with_what_installs_it() {
        let error = Run::new("no-such-program-here")
            .install_hint("apt-get install it")
            .quiet()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`no-such-program-here` is not installed: apt-get install it"
        );
    }

    #[test]
    fn a_failing_program_is_reported_with_its_own_words() {
        let error = Run::new("sh")
            .args(["-c", "echo why >&2; exit 3"])
            .quiet()
            .unwrap_err();
        assert!(error.to_string().ends_with("why"), "{error}");
    }

    #[test]
    fn input_reaches_the_program() {
        assert_eq!(Run::new("cat").input("text").output().unwrap(), "text");
    }

    #[test]
    fn a_tail_keeps_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
    }
}
