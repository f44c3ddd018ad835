//! Pure rules: no axum, sqlx or redis, no clock and no network.

pub mod access;
pub mod audit;
pub mod events;
mod globs;
pub mod mcp;
pub mod oauth;
pub mod prompts;
pub mod user_servers;

pub use globs::GlobError;
