//! The resources of AgentAPI: `Organization`, `McpServer` and `PromptPolicy`,
//! their rules, and the `TenantConfig` document that the gateway serves from.
//!
//! Doc comments of fields become the descriptions that `kubectl explain` shows.

// KubeSchema copies every struct, with its visibility, into a function body.
#![allow(unreachable_pub)]
// Printer columns repeat their type.
#![allow(clippy::duplicated_attributes)]

pub mod admission;
pub mod conditions;
pub mod definition;
pub mod duration;
pub mod internal_api;
pub mod mcp_server;
pub mod names;
pub mod organization;
pub mod prompt_policy;
pub mod quantity;
pub mod rule_cases;
mod rules;
pub mod secret_ref;
pub mod tenant_config;

pub use mcp_server::{McpServer, McpServerSpec, McpServerStatus};
pub use organization::{Organization, OrganizationSpec, OrganizationStatus};
pub use prompt_policy::{PromptPolicy, PromptPolicySpec, PromptPolicyStatus};
pub use secret_ref::{ClientRef, SecretKeyRef};
