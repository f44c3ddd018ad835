//! The pinned kubectl, as the cluster's administrator.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::command::Run;
use crate::go_tools::KUBECTL;
use crate::workspace::Workspace;

/// Who owns the fields that xtask applies.
const FIELD_MANAGER: &str = "agentapi-xtask";

/// kubectl with a kubeconfig.
#[derive(Debug)]
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    pub(crate) fn new(workspace: &Workspace, kubeconfig: &Path) -> Self {
        Self {
            program: KUBECTL.path(workspace),
            kubeconfig: kubeconfig.to_path_buf(),
        }
    }

    fn run(&self) -> Run {
        Run::new(&self.program)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
    }

    /// Whether the API server says that it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.run()
            .args(["get", "--raw", "/readyz", "--request-timeout=5s"])
            .quiet()
            .is_ok()
    }

    /// Whether an object exists.
    pub(crate) fn exists(&self, kind: &str, namespace: &str, name: &str) -> bool {
        self.run()
            .args(["get", kind, name, "--namespace", namespace])
            .quiet()
            .is_ok()
    }

    /// Applies manifests by server-side apply.
    ///
    /// # Errors
    /// What the API server refused.
    pub(crate) fn apply(&self, manifests: String) -> Result<()> {
        self.run()
            .args([
                "apply",
                "--server-side",
                "--force-conflicts",
                "--field-manager",
                FIELD_MANAGER,
                "-f",
                "-",
            ])
            .input(manifests)
            .quiet()
    }

    /// Waits until every CustomResourceDefinition of `manifests` is served.
    ///
    /// # Errors
    /// When one is not within a minute.
    pub(crate) fn wait_established(&self, manifests: String) -> Result<()> {
        self.run()
            .args([
                "wait",
                "--for=condition=Established",
                "--timeout=60s",
                "-f",
                "-",
            ])
            .input(manifests)
            .quiet()
    }

    /// A token of a service account (TokenRequest), for the API server where no audience is named.
    ///
    /// # Errors
    /// When the account does not exist.
    pub(crate) fn token(
        &self,
        namespace: &str,
        account: &str,
        audience: Option<&str>,
        duration: &str,
    ) -> Result<String> {
        let audience = audience.map(|audience| format!("--audience={audience}"));
        let token = self
            .run()
            .args([
                "create",
                "token",
                account,
                "--namespace",
                namespace,
                "--duration",
                duration,
            ])
            .args(audience)
            .output()?;
        Ok(token.trim().to_owned())
    }
}
