//! The operator: turns `Organization`, `McpServer` and `PromptPolicy` into
//! Kubernetes objects and one `TenantConfig` for each organization.
//!
//! Every kind has a folder whose files are the steps of its reconciliation:
//! observe, validate, plan, apply, status. Validating and planning know no
//! client; [`desired()`] runs them for programs without a cluster.

pub mod desired;
pub mod inputs;
pub mod mcp_server;
pub mod object;
pub mod organization;
pub mod problem;
pub mod prompt_policy;
mod rank;
pub mod settings;

pub use desired::{Desired, Finding, desired};
pub use inputs::{Inputs, SecretMetadata, Secrets};
pub use object::{Kind, Object};
pub use problem::Problem;
pub use settings::{Placement, Settings};
