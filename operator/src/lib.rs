//! The operator: turns `Organization`, `McpServer` and `PromptPolicy` into
//! Kubernetes objects and one `TenantConfig` for each organization.
//!
//! Every kind has a folder whose files are the steps of its reconciliation:
//! observe, validate, plan, apply, status. Validating and planning know no
//! client; [`desired()`] runs them for programs without a cluster.

mod apply;
mod conditions;
mod context;
mod controller;
pub mod desired;
mod events;
mod fence;
#[cfg(test)]
mod fixtures;
mod gateway_api;
mod health;
pub mod inputs;
mod leader;
pub mod mcp_server;
mod metrics;
pub mod object;
pub mod organization;
mod own;
mod pause;
pub mod problem;
pub mod prompt_policy;
mod rank;
mod run;
mod secrets;
pub mod settings;
mod watch;

pub use desired::{Desired, Finding, desired};
pub use gateway_api::{GatewayAccess, Replica, Replicas};
pub use inputs::{Inputs, SecretMetadata, Secrets};
pub use object::{Kind, Object};
pub use problem::Problem;
pub use run::{RunError, run};
pub use settings::{Placement, Settings};
