//! The command line, which `cargo xtask bench` fills in.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures the platform's programs against real services.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) measure: Measure,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Measure {
    /// A plain client writes what the operator would
    OperatorBaseline(BaselineOptions),
    /// The operator
    Operator(OperatorOptions),
    /// The gateway, on the PostgreSQL and the Redis that the variables of the
    /// end-to-end tests name
    Gateway(GatewayOptions),
}

/// The control plane, and how much is put on it.
#[derive(Debug, Args)]
pub(crate) struct ClusterOptions {
    /// Kubeconfig of the administrator
    #[arg(long)]
    pub(crate) kubeconfig: PathBuf,
    /// Kubeconfig of the operator's service account
    #[arg(long)]
    pub(crate) operator_kubeconfig: PathBuf,
    /// Process id of the API server, for its CPU time
    #[arg(long)]
    pub(crate) apiserver: u32,
    /// Organizations, each with two servers and one prompt policy
    #[arg(long)]
    pub(crate) organizations: usize,
    /// Organizations that are worked on at one time
    #[arg(long)]
    pub(crate) concurrency: usize,
    /// Where the measurements go, as JSON
    #[arg(long)]
    pub(crate) output: PathBuf,
}

/// What the plain client needs.
#[derive(Debug, Args)]
pub(crate) struct BaselineOptions {
    #[command(flatten)]
    pub(crate) cluster: ClusterOptions,
}

/// What the operator's measurements need.
#[derive(Debug, Args)]
pub(crate) struct OperatorOptions {
    #[command(flatten)]
    pub(crate) cluster: ClusterOptions,
    /// What the plain client measured in the same run
    #[arg(long)]
    pub(crate) baseline: PathBuf,
    /// The operator's program
    #[arg(long)]
    pub(crate) operator: PathBuf,
    /// Where its log goes
    #[arg(long)]
    pub(crate) log: PathBuf,
    /// Port of its health and metrics
    #[arg(long)]
    pub(crate) admin_port: u16,
    /// The API server's audit log
    #[arg(long)]
    pub(crate) audit_log: PathBuf,
    /// Servers that are created and deleted again
    #[arg(long)]
    pub(crate) churn: usize,
    /// Seconds in which an idle operator may write nothing
    #[arg(long)]
    pub(crate) idle: u64,
}

/// What the gateway's measurements need.
#[derive(Debug, Args)]
pub(crate) struct GatewayOptions {
    /// Measure only this; repeatable
    #[arg(long)]
    pub(crate) only: Vec<Subject>,
    /// Where criterion left its measurements
    #[arg(long)]
    pub(crate) criterion: PathBuf,
    /// Sessions and MCP clients that are opened and closed again
    #[arg(long)]
    pub(crate) churn: usize,
    /// Where the measurements go, as JSON
    #[arg(long)]
    pub(crate) output: PathBuf,
}

/// One part of the gateway's measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// What criterion measured
    Hot,
    /// Rate of the audit record
    Audit,
    /// Rate of new sessions
    Sessions,
    /// Limits and sealed tokens in Redis
    Redis,
}
