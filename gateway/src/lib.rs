//! The gateway: serves the agents of every organization from `TenantConfig` documents.
//!
//! A request passes the layers in this order, and dependencies point the same way:
//!
//! ```text
//! http ▶ auth ▶ limits ▶ domain ▶ store | cache | upstream
//!                   │
//!                audit, telemetry
//! ```
//!
//! - [`http`]: router, middleware, thin handlers, problem documents.
//! - [`auth`]: bearer → [`auth::Caller`].
//! - [`limits`]: how often a caller may call.
//! - [`domain`]: pure rules: MCP messages and federation, prompts, access. Knows no axum, sqlx or redis.
//! - [`oauth`]: accounts at upstream servers: how they are connected, kept fresh and revoked.
//! - [`mcp`]: the MCP endpoints, built from `domain` and `upstream`.
//! - [`user_servers`]: the MCP servers that users have added for themselves.
//! - [`internal`]: what the operator asks, on the operations port.
//! - [`bridge`]: the other program of this crate: Streamable HTTP in front of a stdio server.
//! - [`tenants`]: `TenantConfig` documents compiled into what requests use.
//! - [`encryption`]: secrets at rest: the key ring, and what the database holds of a secret.
//! - [`rekeying`]: whether the keys open what is stored, and encrypting it anew.
//! - [`store`], [`cache`], [`upstream`]: PostgreSQL or SQLite, Redis or memory, MCP servers and every other URL.
//! - [`audit`]: the record of every privileged act.
//! - [`telemetry`]: logs and metrics.

pub mod audit;
pub mod auth;
pub mod bridge;
pub mod cache;
pub mod config;
pub mod domain;
pub mod encryption;
pub mod events;
pub mod http;
pub mod internal;
pub mod limits;
pub mod mcp;
pub mod oauth;
pub mod rekeying;
pub mod serve;
pub mod store;
pub mod telemetry;
pub mod tenants;
pub mod upstream;
pub mod user_servers;
