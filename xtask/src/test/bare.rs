//! A control plane with the platform's definitions, rights and admission rules,
//! but without operator and gateway: tests start, kill and stop operators there.

use anyhow::{Context, Result};

use crate::cluster;
use crate::state::State;
use crate::workspace::Workspace;

/// A running control plane of the tests' own.
#[derive(Debug)]
pub(super) struct BareCluster {
    state: State,
}

impl BareCluster {
    /// Starts it, in a state directory of its own; what an earlier run left is removed.
    ///
    /// # Errors
    /// When something cannot be removed, installed or started.
    pub(super) fn up(workspace: &Workspace) -> Result<Self> {
        let directory = workspace.bare_test_state();
        remove(workspace)?;
        let mut state = State::open(&directory)?;
        cluster::prepare(workspace, &mut state)?;
        Ok(Self { state })
    }

    /// What the tests find in their environment.
    ///
    /// # Errors
    /// When the API server is not recorded as running.
    pub(super) fn environment(&mut self) -> Result<Vec<(&'static str, String)>> {
        let etcd = self.state.port("etcd")?;
        let api_server = self
            .state
            .processes()
            .iter()
            .find(|recorded| recorded.name == "kube-apiserver")
            .context("kube-apiserver is not recorded as running")?;
        Ok(vec![
            (
                "AGENTAPI_TEST_BARE_APISERVER_PID",
                api_server.identity.pid().to_string(),
            ),
            (
                "AGENTAPI_TEST_BARE_STATE",
                self.state.path("").display().to_string(),
            ),
            (
                "AGENTAPI_TEST_BARE_ETCD_URL",
                format!("http://127.0.0.1:{etcd}"),
            ),
        ])
    }

    /// Stops everything; logs and data stay until the next run.
    ///
    /// # Errors
    /// When a process cannot be stopped.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.state.stop(|_| true)
    }
}

/// Stops and removes what an earlier run left.
///
/// # Errors
/// When that cannot be removed.
pub(super) fn remove(workspace: &Workspace) -> Result<()> {
    let directory = workspace.bare_test_state();
    if State::exists(&directory) {
        cluster::down(&directory, true)?;
    }
    Ok(())
}
