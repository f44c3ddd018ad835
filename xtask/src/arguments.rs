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
    /// Measure release builds; a table, and JSON under bench/results
    Bench {
        #[command(subcommand)]
        what: BenchTask,
    },
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
    /// Run the long proofs of the operator instead: a crash after every write,
    /// every field of every resource, a faulty API server, drift of every
    /// field, a leader that wakes up too late
    #[arg(long, conflicts_with = "tiers")]
    pub(crate) faults: bool,
    /// Run only the tests whose name contains this
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchTask {
    /// The operator with many organizations, against a plain client that
    /// writes the same
    Operator(OperatorBench),
    /// The gateway's hot operations, and its work against the bare statements
    /// that it needs
    Gateway(GatewayBench),
}

#[derive(Debug, Args)]
pub(crate) struct OperatorBench {
    /// Organizations, each with two servers and one prompt policy
    #[arg(long, default_value_t = 1000, value_parser = at_least_two)]
    pub(crate) organizations: usize,
    /// Organizations that are worked on at one time
    #[arg(long, default_value_t = 16)]
    pub(crate) concurrency: usize,
    /// Servers that are created and deleted again
    #[arg(long, default_value_t = 10_000)]
    pub(crate) churn: usize,
    /// Seconds in which the idle operator may write nothing
    #[arg(long, default_value_t = 60)]
    pub(crate) idle: u64,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayBench {
    /// Measure only this (repeatable): hot, audit, sessions, redis, churn
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) only: Vec<String>,
    /// Sessions and MCP clients that are opened and closed again
    #[arg(long, default_value_t = 100_000)]
    pub(crate) churn: usize,
}

/// A slope needs two numbers of organizations.
fn at_least_two(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= 2 => Ok(number),
        Ok(_) => Err("measure at least 2 organizations".to_owned()),
        Err(error) => Err(format!("{error}")),
    }
}
