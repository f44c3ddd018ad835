//! What is ended when an organization is deleted.

use async_trait::async_trait;

use super::{StoreError, TenantId};

/// The end of one tenant.
#[async_trait]
pub trait RetirementStore: Send + Sync + 'static {
    /// Ends all sessions of the tenant, agents' and MCP clients', and returns how
    /// many there were; revokes its API keys, drops its events, and ends its connections with
    /// upstream servers, which are then revoked there. The record stays: it is kept for as long as its retention says.
    async fn retire(&self, tenant: TenantId) -> Result<u64, StoreError>;
}
