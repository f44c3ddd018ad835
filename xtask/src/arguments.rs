//! The command line of `cargo xtask`.

use clap::{Args, Parser, Subcommand};

/// Set-up, tests, generated files, the local control plane and CI of AgentAPI.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", disable_version_flag = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// A real Kubernetes API server on this machine, and the platform on it
    ///
    /// State is kept in `.local/cluster`, or in the directory that the
    /// variable AGENTAPI_STATE_DIR names; each directory is a cluster of its
    /// own.
    Cluster {
        #[command(subcommand)]
        action: ClusterAction,
    },
    /// Write the files that come from the code: custom resource definitions
    /// and the OpenAPI document
    Generate {
        /// Write nothing; fail when a committed file differs
        #[arg(long)]
        check: bool,
    },
    /// Install what the tests need and run them
    Test(TestOptions),
    /// Everything that must hold before a merge: format, lints, dependency
    /// policy, generated files, documentation, tests
    Ci,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterAction {
    /// Start etcd, kube-apiserver and kube-controller-manager, and print the
    /// kubeconfig's path
    Up,
    /// Stop what was started here, keeping its data
    Down {
        /// Remove the cluster's data too
        #[arg(long)]
        delete: bool,
    },
    /// Print the kubeconfig's path
    Kubeconfig,
    /// Start the cluster, PostgreSQL, Redis, the operator and the gateway
    Run {
        /// Return once everything is ready, leaving it running
        #[arg(long)]
        detach: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TestOptions {
    /// Run only this tier (repeatable): 1 pure, 2 databases, 3 API server,
    /// 4 real peers
    #[arg(long = "tier", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub(crate) tiers: Vec<u8>,
    /// Run only the tests whose name contains this
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Option<String>,
}
