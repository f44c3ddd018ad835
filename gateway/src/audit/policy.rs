//! How the record of each organization is kept.

use std::sync::Arc;

use agentapi_crds::tenant_config::AuditDurability;

use crate::domain::audit::{Action, Outcome};
use crate::store::TenantId;
use crate::tenants::Tenants;

/// How the record of an organization is kept: its `spec.audit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Days that records are kept after the end of their month: 30, 90, 365 or 2555.
    pub retention_days: u32,
    /// Whether tool and model calls may be acknowledged before their records are written.
    pub durability: AuditDurability,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retention_days: 365,
            durability: AuditDurability::Synchronous,
        }
    }
}

impl Policy {
    /// Whether an act may be acknowledged before its record is written. Only calls
    /// may: configuration, credentials and refusals are always written first.
    pub(super) fn buffers(&self, action: Action) -> bool {
        let call = matches!(
            action,
            Action::ToolCall | Action::ResourceRead | Action::PromptGet
        );
        call && self.durability == AuditDurability::Buffered
    }
}

/// Gives each organization its policy.
pub trait Policies: Send + Sync + 'static {
    /// The policy of an organization; the default for one that is not known (any more).
    fn policy(&self, tenant: TenantId) -> Policy;

    /// Names of the organization's event sinks that are sent records of this kind.
    fn sinks(&self, tenant: TenantId, action: Action, outcome: Outcome) -> Vec<Arc<str>>;
}

impl Policies for Tenants {
    fn policy(&self, tenant: TenantId) -> Policy {
        self.by_id(tenant).map_or_else(Policy::default, |tenant| {
            let audit = &tenant.config.audit;
            Policy {
                retention_days: audit.retention_days,
                durability: audit.durability,
            }
        })
    }

    fn sinks(&self, tenant: TenantId, action: Action, outcome: Outcome) -> Vec<Arc<str>> {
        let Some(tenant) = self.by_id(tenant) else {
            return Vec::new();
        };
        let sinks = tenant.event_sinks.iter();
        let wanting = sinks.filter(|sink| sink.wants(action, outcome));
        wanting.map(|sink| sink.name.clone()).collect()
    }
}

/// One policy for all organizations, which have no event sinks.
impl Policies for Policy {
    fn policy(&self, _: TenantId) -> Policy {
        *self
    }

    fn sinks(&self, _: TenantId, _: Action, _: Outcome) -> Vec<Arc<str>> {
        Vec::new()
    }
}

/// Policies as the recorder shares them.
pub(super) type SharedPolicies = Arc<dyn Policies>;
