//! Unguessable values that are handed to a browser and come back: states and cookies.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Bytes of a tenant's id and of a row's.
const ID: usize = 16;
/// Bytes of the secret: as many as a SHA-256 hash has.
const SECRET: usize = 32;
const LENGTH: usize = ID + ID + SECRET;

/// Names a row of a tenant and proves by a secret that whoever has it was given
/// it. The store keeps its hash only.
#[derive(Clone)]
pub struct Ticket {
    /// The tenant.
    pub tenant: Uuid,
    /// The row.
    pub id: Uuid,
    secret: Zeroizing<[u8; SECRET]>,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut ticket = formatter.debug_struct("Ticket");
        ticket.field("tenant", &self.tenant).field("id", &self.id);
        ticket.finish_non_exhaustive()
    }
}

impl Ticket {
    /// A ticket with a secret that nobody can guess.
    pub fn new(tenant: Uuid, id: Uuid, secret: [u8; SECRET]) -> Self {
        Self {
            tenant,
            id,
            secret: Zeroizing::new(secret),
        }
    }

    /// Reads what came back; nothing if it was never given out like this.
    pub fn read(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        let bytes: &[u8; LENGTH] = bytes.as_slice().try_into().ok()?;
        let (tenant, rest) = bytes.split_at(ID);
        let (id, secret) = rest.split_at(ID);
        Some(Self {
            tenant: Uuid::from_slice(tenant).ok()?,
            id: Uuid::from_slice(id).ok()?,
            secret: Zeroizing::new(secret.try_into().ok()?),
        })
    }

    /// What is handed out: letters, digits, `-` and `_`.
    pub fn text(&self) -> Zeroizing<String> {
        let parts = [
            self.tenant.as_bytes().as_slice(),
            self.id.as_bytes(),
            self.secret.as_slice(),
        ];
        let bytes = Zeroizing::new(parts.concat());
        Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
    }

    /// What is kept.
    pub fn hash(&self) -> [u8; SECRET] {
        self.derive("hash", &[])
    }

    /// Whether a hash that was kept is this ticket's.
    pub fn fits(&self, hash: &[u8]) -> bool {
        self.hash().as_slice().ct_eq(hash).into()
    }

    /// Another secret for one purpose, of this one and of what else goes into it.
    /// Whoever knows it learns nothing of the ticket.
    pub fn derive(&self, purpose: &str, context: &[u8]) -> [u8; SECRET] {
        let mut hash = Sha256::new();
        for part in [
            b"agentapi.dev/ticket".as_slice(),
            purpose.as_bytes(),
            self.tenant.as_bytes(),
            self.id.as_bytes(),
            self.secret.as_slice(),
            context,
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// [`derive`](Self::derive), as text.
    pub fn derive_text(&self, purpose: &str, context: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.derive(purpose, context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(secret: u8) -> Ticket {
        Ticket::new(Uuid::from_u128(7), Uuid::from_u128(8), [secret; SECRET])
    }

    #[test]
    fn a_ticket_reads_back() {
        let read = Ticket::read(&ticket(1).text()).unwrap();
        assert_eq!(
            (read.tenant, read.id, read.hash()),
            (Uuid::from_u128(7), Uuid::from_u128(8), ticket(1).hash())
        );
    }

    #[test]
    fn a_ticket_with_another_secret_does_not_fit() {
        assert!(ticket(1).fits(&ticket(1).hash()));
        assert!(!ticket(2).fits(&ticket(1).hash()));
    }

    #[test]
    fn what_is_no_ticket_is_none() {
        let text = ticket(1).text();
        for text in [
            "",
            "x",
            &text[1..],
            &format!("{}A", *text),
            &text.replace('A', "="),
        ] {
            assert!(Ticket::read(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn derived_secrets_differ_by_purpose_and_context() {
        let one = ticket(1);
        assert_ne!(one.derive("a", b""), one.derive("b", b""));
        assert_ne!(one.derive("a", b"x"), one.derive("a", b"y"));
        assert_ne!(one.derive("a", b""), one.hash());
    }
}
