//! The caller of a request: who was authenticated, for which organization.

use std::sync::Arc;

use crate::store::TenantId;
use crate::tenants::Tenant;

/// An authenticated caller. Handlers get one from the extractor, never from the
/// request, and pass its tenant to every store call.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The organization, as compiled when the request arrived.
    pub tenant: Arc<Tenant>,
    /// The user's id in the organization.
    pub user: Arc<str>,
    /// Roles from the token; `admin` and `user` are the platform's own.
    pub roles: Arc<[String]>,
}

impl Caller {
    /// What every store call takes.
    pub fn tenant_id(&self) -> TenantId {
        self.tenant.id
    }

    /// Whether the caller has a role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held == role)
    }
}
