//! Where a sealed value belongs.

use uuid::Uuid;

use super::SealedColumn;
use crate::store::TenantId;

/// Begins all associated data, so that it is like that of no other program.
const DOMAIN: &[u8] = b"agentapi.dev/sealed";

/// The one place where a value opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Table and column.
    pub column: SealedColumn,
    /// The row's `id`.
    pub row: Uuid,
}

impl Location {
    /// What the ciphertext is bound to besides its content: every part with its
    /// length before it, so that no two places give the same bytes.
    pub(super) fn associated_data(&self, header: &[u8]) -> Vec<u8> {
        let parts = [
            DOMAIN,
            header,
            self.tenant.0.as_bytes(),
            self.column.table().as_bytes(),
            self.column.column().as_bytes(),
            self.row.as_bytes(),
        ];
        let mut data = Vec::new();
        for part in parts {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}
