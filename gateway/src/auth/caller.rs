//! The caller of a request: who was authenticated, for which organization.

use std::sync::Arc;

use uuid::Uuid;

use crate::domain::access::{Right, Rights};
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
    /// Roles from the token: the platform's own, and what policies may name.
    pub roles: Arc<[String]>,
    /// The API key that the caller used, if it was one.
    pub api_key: Option<Uuid>,
    /// What the caller may do.
    rights: Rights,
}

impl Caller {
    /// A caller with all the rights of its roles.
    pub fn new(tenant: Arc<Tenant>, user: Arc<str>, roles: Arc<[String]>) -> Self {
        let rights = Rights::of_roles(&roles);
        Self {
            tenant,
            user,
            roles,
            api_key: None,
            rights,
        }
    }

    /// The same caller by an API key, with no other rights than these.
    pub(super) fn by_key(self, id: Uuid, rights: Rights) -> Self {
        Self {
            api_key: Some(id),
            rights: self.rights.and(rights),
            ..self
        }
    }

    /// What every store call takes.
    pub fn tenant_id(&self) -> TenantId {
        self.tenant.id
    }

    /// Whether the caller holds a right.
    pub fn may(&self, right: Right) -> bool {
        self.rights.contain(right)
    }
}
