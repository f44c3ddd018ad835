//! Where the demo's manifests are: in the source tree, or in this program.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::failure::Failure;

/// The samples' place in the source tree.
const FOLDER: &str = "config/samples";

/// The samples as they were when this program was built.
const FILES: [(&str, &str); 4] = [
    (
        "organizations.yaml",
        include_str!("../../../config/samples/organizations.yaml"),
    ),
    (
        "platform-prompts.yaml",
        include_str!("../../../config/samples/platform-prompts.yaml"),
    ),
    (
        "acme.yaml",
        include_str!("../../../config/samples/acme.yaml"),
    ),
    (
        "globex.yaml",
        include_str!("../../../config/samples/globex.yaml"),
    ),
];

/// A folder of manifests; one that was made for the demo goes away with it.
pub(super) struct Samples {
    path: PathBuf,
    _made: Option<TempDir>,
}

impl Samples {
    /// The given folder; else the one of the source tree around the current
    /// folder or, under cargo, around this package; else a copy of what is built in.
    pub(super) fn find(given: Option<PathBuf>) -> Result<Self, Failure> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let workspace = package.as_deref().and_then(Path::parent);
        let around = [Some(Path::new("")), workspace].into_iter().flatten();
        let found = around
            .map(|folder| folder.join(FOLDER))
            .find(|folder| folder.is_dir());
        match given.or(found) {
            Some(path) => Ok(Self { path, _made: None }),
            None => Self::made(),
        }
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn made() -> Result<Self, Failure> {
        let failed = |error| {
            Failure::new(
                "the samples cannot be written",
                "agentapi demo --manifests DIR",
            )
            .because(error)
        };
        let folder = tempfile::tempdir().map_err(failed)?;
        for (name, content) in FILES {
            std::fs::write(folder.path().join(name), content).map_err(failed)?;
        }
        Ok(Self {
            path: folder.path().to_owned(),
            _made: Some(folder),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_sample_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/samples");
        let found: BTreeSet<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let built_in: BTreeSet<_> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(built_in, found, "add the file to FILES");
    }
}
