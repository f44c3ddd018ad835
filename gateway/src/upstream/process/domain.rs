//! The Landlock domain of a child (<https://docs.kernel.org/userspace-api/landlock.html>).
//!
//! It may read and run what is on the machine, and write to its session's own
//! directory. Directories of other sessions are not even read: all of them lie in
//! one scratch directory, of which nothing else but the own one is opened if its
//! name says that it is a session's. Rules only ever open something, so everything
//! on the way down to the scratch directory is opened entry by entry. Signals and
//! abstract sockets end at the domain's border, and so does `/proc` of others.

use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope, path_beneath_rules,
};

use super::child::DIRECTORY_PREFIX;
use super::confine::Confinement;

/// Rights that are asked for; an older kernel gives those that it knows.
const RIGHTS: ABI = ABI::V6;
/// Devices that programs write to as a matter of course, and that keep nothing.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty"];

/// Confines this thread, for good, to writing to `directory`.
pub(super) fn enter(directory: &Path) -> Result<Confinement, RulesetError> {
    let (read, all) = (AccessFs::from_read(RIGHTS), AccessFs::from_all(RIGHTS));
    let status = Ruleset::default()
        .handle_access(all)?
        .scope(Scope::from_all(RIGHTS))?
        .create()?
        .add_rules(path_beneath_rules(readable(directory), read))?
        .add_rules(path_beneath_rules(DEVICES, all))?
        .add_rules(path_beneath_rules([directory], all))?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Confinement::Whole,
        RulesetStatus::PartiallyEnforced => Confinement::Part,
        RulesetStatus::NotEnforced => Confinement::None,
    })
}

/// Everything but what leads to other sessions' directories, as entries of the
/// directories above `directory`.
fn readable(directory: &Path) -> Vec<PathBuf> {
    let Some(scratch) = directory.parent().and_then(|path| path.canonicalize().ok()) else {
        return Vec::new();
    };
    scratch
        .ancestors()
        .flat_map(entries)
        .filter(|entry| !is_session(entry) && !leads_to(entry, &scratch))
        .collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    // What this process cannot list, its children need not reach.
    let listed = fs::read_dir(directory).into_iter().flatten().flatten();
    listed.map(|entry| entry.path()).collect()
}

fn is_session(entry: &Path) -> bool {
    let name = entry.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(DIRECTORY_PREFIX))
}

/// Whether opening an entry, perhaps a symbolic link, would open all of `scratch`.
fn leads_to(entry: &Path, scratch: &Path) -> bool {
    entry
        .canonicalize()
        .is_ok_and(|target| scratch.starts_with(target))
}
