//! The command line of `cargo xtask`.

use clap::{Parser, Subcommand};

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
