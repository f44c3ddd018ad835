//! Starting a child so that it reaches no more of the machine than its session needs.

use std::io::Error;
use std::path::Path;
use std::sync::Once;
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;

/// How well children are confined on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confinement {
    /// As well as this program knows how to.
    Whole,
    /// As well as this kernel knows how to.
    Part,
    /// Not at all: the kernel has no Landlock, or does not let us use it.
    None,
}

impl Confinement {
    /// What the log says of it.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Whole => {
                "programs of stdio servers are confined: each writes to its session's directory only, and sees no other session's"
            }
            Self::Part => {
                "programs of stdio servers are confined as far as this kernel can: their files are, but not all operations on them, or not their signals (Linux 6.12 confines both)"
            }
            Self::None => {
                "programs of stdio servers are not confined, because Landlock is not available here: sessions of one server can reach each other's files (Linux 5.13 or newer with Landlock prevents it)"
            }
        }
    }

    /// Tells the log, the first time: it is the same for every child.
    pub(super) fn tell_once(self) {
        static TOLD: Once = Once::new();
        TOLD.call_once(|| match self {
            Self::Whole => tracing::info!("{}", self.description()),
            Self::Part | Self::None => tracing::warn!("{}", self.description()),
        });
    }
}

/// Starts a program that may write to `directory`, its session's own, only.
///
/// What confines a thread confines what the thread starts, and cannot be undone.
/// So each program is started by a thread that exists for nothing else.
pub(super) fn spawn(mut command: Command, directory: &Path) -> Result<(Child, Confinement), Error> {
    let runtime = Handle::current();
    let start = move || {
        let confinement = enter(directory)?;
        let _runtime = runtime.enter();
        Ok((command.spawn()?, confinement))
    };
    thread::scope(|scope| {
        let starter = thread::Builder::new()
            .name("stdio-server".to_owned())
            .spawn_scoped(scope, start)?;
        starter
            .join()
            .unwrap_or_else(|_| Err(Error::other("the thread that starts programs has failed")))
    })
}

#[cfg(target_os = "linux")]
fn enter(directory: &Path) -> Result<Confinement, Error> {
    super::domain::enter(directory).map_err(Error::other)
}

#[cfg(not(target_os = "linux"))]
fn enter(_: &Path) -> Result<Confinement, Error> {
    Ok(Confinement::None)
}

#[cfg(test)]
#[path = "confine_tests.rs"]
mod tests;
