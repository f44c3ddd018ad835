//! The tour's steps as a person sees them, one line each.

use std::io::IsTerminal;
use std::time::Instant;

use crate::failure::Failure;
use crate::output;

/// Width of a step's name.
const NAME: usize = 13;
/// Width of what a step found.
const FOUND: usize = 56;

/// Prints steps and counts them.
pub(super) struct Progress {
    total: usize,
    done: usize,
    style: Style,
}

/// How marks are coloured: not at all unless a terminal shows them.
#[derive(Clone, Copy)]
enum Style {
    Plain,
    Coloured,
}

impl Progress {
    /// Progress of so many steps.
    pub(super) fn of(total: usize) -> Self {
        let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let style = if coloured {
            Style::Coloured
        } else {
            Style::Plain
        };
        Self {
            total,
            done: 0,
            style,
        }
    }

    /// Takes one step: prints what it found and how long that took, or the
    /// cause of its failure and the next command.
    pub(super) async fn step<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = Result<(T, String), Failure>>,
    ) -> Result<T, Failure> {
        self.done += 1;
        let started = Instant::now();
        let outcome = work.await;
        let place = format!("[{}/{}]", self.done, self.total);
        match outcome {
            Ok((value, found)) => {
                let took = started.elapsed().as_millis();
                let mark = self.style.good("✓");
                output::line(&format!(
                    "{place} {mark} {name:<NAME$} {found:<FOUND$} {took:>6} ms"
                ))?;
                Ok(value)
            }
            Err(failure) => {
                let mark = self.style.bad("✗");
                output::line(&format!("{place} {mark} {name:<NAME$} {}", failure.cause()))?;
                output::line(&format!("      try: {}", failure.next()))?;
                Err(failure.told())
            }
        }
    }
}

/// Prints something that happened during a step.
pub(super) fn detail(text: &str) {
    // A detail that cannot be printed is no reason to fail: the step's own line will tell.
    let _ = output::line(&format!("      · {text}"));
}

impl Style {
    fn good(self, mark: &str) -> String {
        self.paint("32", mark)
    }

    fn bad(self, mark: &str) -> String {
        self.paint("31", mark)
    }

    /// Select Graphic Rendition (ECMA-48, 8.3.117).
    fn paint(self, colour: &str, mark: &str) -> String {
        match self {
            Self::Plain => mark.to_owned(),
            Self::Coloured => format!("\u{1b}[{colour}m{mark}\u{1b}[0m"),
        }
    }
}
