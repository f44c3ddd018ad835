//! The pinned Go programs: etcd, the Kubernetes control plane, helm.
//!
//! Each comes from a small Go module under `kind/`, is built once into
//! `.local/bin` and again only when its module, its sources or the way it is
//! built change.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::command::Run;
use crate::progress;
use crate::workspace::Workspace;

const INSTALL_GO: &str = "install Go 1.26 or newer (https://go.dev/dl) and put it on the PATH";

/// A Go program and where it comes from.
#[derive(Debug)]
pub(crate) struct GoTool {
    name: &'static str,
    /// Folder of the Go module.
    module: &'static str,
    package: &'static str,
}

const KUBERNETES: &str = "kind/controlplane";

pub(crate) const ETCD: GoTool = GoTool {
    name: "etcd",
    module: "kind/etcd",
    package: "go.etcd.io/etcd/server/v3",
};
pub(crate) const APISERVER: GoTool = GoTool {
    name: "kube-apiserver",
    module: KUBERNETES,
    package: "k8s.io/kubernetes/cmd/kube-apiserver",
};
pub(crate) const CONTROLLER_MANAGER: GoTool = GoTool {
    name: "kube-controller-manager",
    module: KUBERNETES,
    package: "k8s.io/kubernetes/cmd/kube-controller-manager",
};
pub(crate) const KUBECTL: GoTool = GoTool {
    name: "kubectl",
    module: KUBERNETES,
    package: "k8s.io/kubernetes/cmd/kubectl",
};
pub(crate) const CERTIFICATES: GoTool = GoTool {
    name: "certificates",
    module: KUBERNETES,
    package: "./certificates",
};
pub(crate) const HELM: GoTool = GoTool {
    name: "helm",
    module: "kind/helm",
    package: "helm.sh/helm/v3/cmd/helm",
};

/// Everything `cargo xtask cluster up` needs.
pub(crate) const CONTROL_PLANE: [&GoTool; 5] = [
    &ETCD,
    &APISERVER,
    &CONTROLLER_MANAGER,
    &KUBECTL,
    &CERTIFICATES,
];

impl GoTool {
    pub(crate) fn path(&self, workspace: &Workspace) -> PathBuf {
        workspace.tool(self.name)
    }

    /// Builds the program unless its current version is there.
    ///
    /// # Errors
    /// When Go is missing or the build fails.
    pub(crate) fn ensure(&self, workspace: &Workspace) -> Result<()> {
        let module = workspace.path(self.module);
        let flags = linker_flags(&module)?;
        let wanted = stamp(self, &module, &flags)?;
        let program = self.path(workspace);
        let stamp = program.with_extension("stamp");
        let built = fs::read_to_string(&stamp).unwrap_or_default();
        if program.exists() && built == wanted {
            return Ok(());
        }
        fs::create_dir_all(workspace.local("bin")).context("cannot create .local/bin")?;
        progress::note(&format!(
            "building {} (once; the first time takes minutes)",
            self.name
        ));
        progress::step(&format!("{} from {}", self.name, self.module), || {
            Run::new("go")
                .args([
                    "build",
                    "-trimpath",
                    "-mod=readonly",
                    "-buildvcs=false",
                    "-ldflags",
                    &flags,
                    "-o",
                ])
                .arg(&program)
                .arg(self.package)
                .directory(&module)
                .env("CGO_ENABLED", "0")
                // A workspace file further up would change what is built.
                .env("GOWORK", "off")
                .install_hint(INSTALL_GO)
                .quiet()
        })?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
    }
}

/// Builds what is not there yet, one after the other.
///
/// # Errors
/// The first tool's that cannot be built.
pub(crate) fn ensure(workspace: &Workspace, tools: &[&GoTool]) -> Result<()> {
    tools.iter().try_for_each(|tool| tool.ensure(workspace))
}

/// The version of the local control plane, such as `v1.36.3`.
///
/// # Errors
/// When its module does not name one.
pub(crate) fn control_plane_version(workspace: &Workspace) -> Result<String> {
    let manifest = read(&workspace.path(KUBERNETES).join("go.mod"))?;
    kubernetes_version(&manifest)
        .map(str::to_owned)
        .with_context(|| format!("{KUBERNETES}/go.mod requires no k8s.io/kubernetes"))
}

/// Strips symbols, and tells Kubernetes programs their version: without it
/// clients cannot parse what `/version` says.
fn linker_flags(module: &Path) -> Result<String> {
    let manifest = read(&module.join("go.mod"))?;
    let mut flags = "-s -w".to_owned();
    if let Some(version) = kubernetes_version(&manifest) {
        let mut parts = version.trim_start_matches('v').split('.');
        let values = [
            ("gitVersion", version),
            ("gitMajor", parts.next().unwrap_or_default()),
            ("gitMinor", parts.next().unwrap_or_default()),
        ];
        for (name, value) in values {
            flags.push_str(&format!(" -X k8s.io/component-base/version.{name}={value}"));
        }
    }
    Ok(flags)
}

/// The version in the line `k8s.io/kubernetes v1.36.3` of a go.mod.
fn kubernetes_version(manifest: &str) -> Option<&str> {
    manifest.lines().find_map(|line| {
        let mut words = line
            .trim()
            .trim_start_matches("require ")
            .split_whitespace();
        (words.next()? == "k8s.io/kubernetes").then(|| words.next())?
    })
}

/// A hash of everything that decides what gets built.
fn stamp(tool: &GoTool, module: &Path, flags: &str) -> Result<String> {
    let mut hash = Sha256::new();
    for part in [
        tool.package,
        flags,
        &read(&module.join("go.mod"))?,
        &read(&module.join("go.sum"))?,
    ] {
        hash.update(part);
        hash.update([0]);
    }
    if let Some(own) = tool.package.strip_prefix("./") {
        hash.update(read(&module.join(own).join("main.go"))?);
    }
    Ok(hex::encode(hash.finalize()))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubernetes_version_is_read_from_the_module() {
        let manifest =
            "require (\n\tk8s.io/kubernetes v1.36.3 // indirect\n\tk8s.io/api v0.36.3\n)";
        assert_eq!(kubernetes_version(manifest), Some("v1.36.3"));
    }

    #[test]
    fn a_module_without_kubernetes_has_no_kubernetes_version() {
        assert_eq!(
            kubernetes_version("require go.etcd.io/etcd/server/v3 v3.6.9"),
            None
        );
    }

    #[test]
    fn the_stamp_changes_with_the_flags() {
        let module = Workspace::current().path(KUBERNETES);
        assert_ne!(
            stamp(&KUBECTL, &module, "-s").unwrap(),
            stamp(&KUBECTL, &module, "-w").unwrap()
        );
    }
}
