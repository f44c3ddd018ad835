//! Where things are in this repository.

use std::env;
use std::path::{Path, PathBuf};

/// The repository that this program was built from.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace of the running xtask.
    pub(crate) fn current() -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self {
            root: package.parent().unwrap_or(package).to_path_buf(),
        }
    }

    /// A workspace elsewhere, for tests.
    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path of the repository.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A path below the git-ignored folder for everything that is installed,
    /// built or run here.
    pub(crate) fn local(&self, relative: &str) -> PathBuf {
        self.root.join(".local").join(relative)
    }

    /// Built Go programs.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.local("bin").join(name)
    }

    /// The cluster that `cargo xtask cluster` works on.
    pub(crate) fn cluster_state(&self) -> PathBuf {
        match env::var_os("AGENTAPI_STATE_DIR") {
            Some(directory) => env::current_dir()
                .map_or_else(|_| PathBuf::from(&directory), |here| here.join(&directory)),
            None => self.local("cluster"),
        }
    }

    /// The clusters, databases and logs of `cargo xtask test`.
    pub(crate) fn test_state(&self) -> PathBuf {
        self.local("test")
    }

    /// The control plane of `cargo xtask bench`.
    pub(crate) fn bench_state(&self) -> PathBuf {
        self.local("bench")
    }

    /// The control plane of `cargo xtask test` on which no operator runs until
    /// a test starts one.
    pub(crate) fn bare_test_state(&self) -> PathBuf {
        self.local("test-bare")
    }

    /// What `cargo xtask test --faults` measured.
    pub(crate) fn fault_results(&self) -> PathBuf {
        self.local("results/faults")
    }

    /// `path` as a person in the repository would type it.
    pub(crate) fn display<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}
