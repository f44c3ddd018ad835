//! The unprivileged user for programs that refuse to run as root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// Users to choose from, best first: `postgres` comes with Debian's package.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    id: u32,
    group: u32,
}

impl User {
    /// The user to step down to, or `None` when this program is not root.
    ///
    /// # Errors
    /// When /etc/passwd names no such user.
    pub(crate) fn unprivileged() -> Result<Option<Self>> {
        if !is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        CANDIDATES
            .iter()
            .find_map(|name| find(&accounts, name))
            .map(Some)
            .with_context(|| {
                format!("no user of {CANDIDATES:?} in /etc/passwd to run PostgreSQL as")
            })
    }

    /// Makes `command` run as this user, without supplementary groups.
    pub(crate) fn assume(&self, command: &mut Command) {
        command.uid(self.id).gid(self.group);
    }

    /// Gives a file or directory to this user.
    ///
    /// # Errors
    /// When the owner cannot be changed.
    pub(crate) fn own(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.id), Some(self.group))
            .with_context(|| format!("cannot give {} away", path.display()))
    }

    /// Whether this user may pass through `directory` and everything above it.
    pub(crate) fn can_enter(&self, directory: &Path) -> bool {
        directory.ancestors().all(|ancestor| {
            fs::metadata(ancestor).is_ok_and(|metadata| {
                let mode = metadata.permissions().mode();
                let needed = if metadata.uid() == self.id {
                    0o100
                } else if metadata.gid() == self.group {
                    0o010
                } else {
                    0o001
                };
                mode & needed != 0
            })
        })
    }
}

/// Whether this program runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A line of passwd(5): `name:password:uid:gid:…`.
fn find(accounts: &str, name: &str) -> Option<User> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        Some(User {
            id: fields.nth(1)?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    const ACCOUNTS: &str = "root:x:0:0:root:/root:/bin/sh\nnobodyelse:x:5:5::/:\nnobody:x:65534:65533:n:/:/bin/false\n";

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        assert_eq!(
            find(ACCOUNTS, "nobody"),
            Some(User {
                id: 65534,
                group: 65533
            })
        );
    }

    #[test]
    fn a_directory_closed_to_others_cannot_be_entered_by_a_stranger() {
        let stranger = User {
            id: 4_000_000,
            group: 4_000_000,
        };
        let scratch = Scratch::new("closed");
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!stranger.can_enter(scratch.path()));
    }
}
