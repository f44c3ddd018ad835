//! The test programs of the workspace, built once.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cargo::{self, Artifact};
use crate::workspace::Workspace;

/// Which tests run together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// A tier of docs/TESTING.md.
    Tier(u8),
    /// The long proofs of `cargo xtask test --faults`.
    Faults,
}

impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tier(number) => write!(formatter, "tier {number}"),
            Self::Faults => formatter.write_str("faults"),
        }
    }
}

/// One test program.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) group: Group,
    /// `package target`, as a person would look for it.
    pub(super) name: String,
    pub(super) executable: PathBuf,
    /// Where cargo would run it: its package's folder.
    pub(super) directory: PathBuf,
}

/// All test programs, and the platform's own.
#[derive(Debug)]
pub(super) struct Suites {
    suites: Vec<Suite>,
    programs: PathBuf,
}

impl Suites {
    /// Builds tests of all tiers and the platform's programs.
    ///
    /// # Errors
    /// When a build fails.
    pub(super) fn build(workspace: &Workspace) -> Result<Self> {
        let tests = cargo::build(
            workspace,
            &[
                "test",
                "--workspace",
                "--no-run",
                "--features",
                cargo::FEATURES,
            ],
        )?;
        let mut suites: Vec<Suite> = tests.into_iter().filter_map(suite).collect();
        suites.sort_by(|one, other| (one.group, &one.name).cmp(&(other.group, &other.name)));
        Ok(Self {
            suites,
            programs: cargo::build_programs(workspace)?,
        })
    }

    /// The folder of `agentapi`, `agentapi-operator` and `agentapi-gateway`.
    pub(super) fn programs(&self) -> &Path {
        &self.programs
    }

    pub(super) fn of(&self, group: Group) -> impl Iterator<Item = &Suite> {
        self.suites.iter().filter(move |suite| suite.group == group)
    }
}

fn suite(artifact: Artifact) -> Option<Suite> {
    if !artifact.profile.test {
        return None;
    }
    let directory = artifact.manifest_path.parent()?.to_path_buf();
    let package = directory.file_name()?.to_str()?;
    let target = &artifact.target;
    let part = match target.kind.first().map(String::as_str) {
        Some("test") => target.name.clone(),
        Some("bin") => format!("bin {}", target.name),
        _ => "lib".to_owned(),
    };
    Some(Suite {
        group: group(&target.name),
        name: format!("{package} {part}"),
        executable: artifact.executable?,
        directory,
    })
}

/// The group in a name such as `tier3_blackbox` or `faults_operator`; all
/// others need nothing.
fn group(target: &str) -> Group {
    if target.starts_with("faults_") {
        return Group::Faults;
    }
    let number = target
        .strip_prefix("tier")
        .and_then(|rest| rest.split('_').next())
        .and_then(|number| number.parse().ok());
    Group::Tier(number.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_in_the_tier_of_its_name() {
        assert_eq!(group("tier3_blackbox"), Group::Tier(3));
    }

    #[test]
    fn the_long_proofs_are_in_no_tier() {
        assert_eq!(group("faults_operator"), Group::Faults);
    }

    #[test]
    fn a_target_without_a_tier_in_its_name_needs_nothing() {
        assert_eq!(group("rules"), Group::Tier(1));
    }
}
