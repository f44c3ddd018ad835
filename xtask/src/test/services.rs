//! What the tiers need, set up once and stopped at the end.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::bare::{self, BareCluster};
use super::results;
use super::suites::Group;
use crate::cluster::{self, Platform, Postgres, Redis};
use crate::go_tools::KUBECTL;
use crate::packages;
use crate::state::State;
use crate::workspace::Workspace;

/// The services of a test run, in a state directory of their own.
#[derive(Debug)]
pub(super) struct Services {
    workspace: Workspace,
    state: State,
    bare: Option<BareCluster>,
    programs: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Services {
    /// Nothing runs yet; what an earlier run left is removed.
    ///
    /// # Errors
    /// When that cannot be removed.
    pub(super) fn new(workspace: &Workspace, programs: &Path) -> Result<Self> {
        let directory = workspace.test_state();
        if State::exists(&directory) {
            cluster::down(&directory, true)?;
        }
        bare::remove(workspace)?;
        Ok(Self {
            workspace: workspace.clone(),
            state: State::open(&directory)?,
            bare: None,
            programs: programs.to_path_buf(),
            environment: vec![("AGENTAPI_TEST_BIN_DIR", programs.display().to_string())],
        })
    }

    /// What the tests find in their environment.
    pub(super) fn environment(&self) -> &[(&'static str, String)] {
        &self.environment
    }

    /// Where a suite's log goes.
    pub(super) fn log(&self, suite: &str) -> PathBuf {
        self.state.log(&suite.replace(' ', "-"))
    }

    /// Sets up what a group needs.
    ///
    /// # Errors
    /// What could not be installed or started, with what would.
    pub(super) fn set_up(&mut self, group: Group) -> Result<()> {
        match group {
            Group::Tier(2) => {
                self.databases()?;
                self.node_peers()
            }
            Group::Tier(3) => {
                self.platform()?;
                self.bare_cluster()
            }
            Group::Tier(4) => self.peers(),
            Group::Tier(_) => Ok(()),
            Group::Faults => {
                let results = results::empty(&self.workspace)?;
                self.give("AGENTAPI_TEST_RESULTS", results.display().to_string());
                self.bare_cluster()
            }
        }
    }

    fn bare_cluster(&mut self) -> Result<()> {
        let bare = self.bare.insert(BareCluster::up(&self.workspace)?);
        for (name, value) in bare.environment()? {
            self.give(name, value);
        }
        Ok(())
    }

    fn databases(&mut self) -> Result<()> {
        let postgres = Postgres::up(&self.workspace, &mut self.state)?;
        let redis = Redis::up(&mut self.state)?;
        self.give_databases(&postgres, &redis);
        Ok(())
    }

    fn give_databases(&mut self, postgres: &Postgres, redis: &Redis) {
        self.give("AGENTAPI_TEST_POSTGRES_URL", postgres.superuser_url.clone());
        self.give("AGENTAPI_TEST_REDIS_URL", redis.url.clone());
    }

    fn platform(&mut self) -> Result<()> {
        let platform = Platform::up(&self.workspace, &mut self.state, &self.programs)?;
        self.give_databases(&platform.postgres, &platform.redis);
        let kubeconfig = self.state.path("kubeconfig").display().to_string();
        self.give("AGENTAPI_TEST_KUBECONFIG", kubeconfig);
        let audit_log = self.state.log("audit").display().to_string();
        self.give("AGENTAPI_TEST_AUDIT_LOG", audit_log);
        let kubectl = KUBECTL.path(&self.workspace).display().to_string();
        self.give("AGENTAPI_TEST_KUBECTL", kubectl);
        self.give(
            "AGENTAPI_TEST_HOSTS_FILE",
            platform.hosts.display().to_string(),
        );
        self.give("AGENTAPI_TEST_GATEWAY_URL", platform.endpoints.gateway);
        self.give(
            "AGENTAPI_TEST_GATEWAY_ADMIN_URL",
            platform.endpoints.gateway_admin,
        );
        self.give(
            "AGENTAPI_TEST_OPERATOR_ADMIN_URL",
            platform.endpoints.operator_admin,
        );
        Ok(())
    }

    fn peers(&mut self) -> Result<()> {
        self.node_peers()?;
        let python = packages::python_peers(&self.workspace)?;
        self.give("AGENTAPI_TEST_PYTHON", python.display().to_string());
        Ok(())
    }

    fn node_peers(&mut self) -> Result<()> {
        let node = packages::node_peers(&self.workspace)?;
        self.give("AGENTAPI_TEST_NODE", node.display().to_string());
        Ok(())
    }

    fn give(&mut self, name: &'static str, value: String) {
        self.environment.retain(|(given, _)| *given != name);
        self.environment.push((name, value));
    }

    /// Stops everything; logs and data stay until the next run.
    ///
    /// # Errors
    /// When a process cannot be stopped.
    pub(super) fn stop(&mut self) -> Result<()> {
        if let Some(bare) = &mut self.bare {
            bare.stop()?;
        }
        self.state.stop(|_| true)
    }
}
