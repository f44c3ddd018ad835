//! The text of an API key: `aak_<organization>_<id>_<secret>`.

use aws_lc_rs::rand;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::store::TenantId;

/// What every API key begins with: tells it from a JWT, and lets scanners find leaked ones.
const PREFIX: &str = "aak_";
/// Separates this use of the hash from every other.
const DOMAIN: &[u8] = b"agentapi.dev/api-key/v1";

/// The random part: 256 bits.
type Secret = Zeroizing<[u8; 32]>;

/// Whether a bearer token claims to be an API key.
pub(super) fn is_api_key(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// An API key as it was sent; nothing of it is verified.
pub(super) struct Presented<'a> {
    pub(super) organization: &'a str,
    pub(super) id: Uuid,
    secret: Secret,
}

impl<'a> Presented<'a> {
    /// Reads a key in exactly the form in which keys are handed out.
    pub(super) fn read(token: &'a str) -> Option<Self> {
        // Names of organizations are DNS labels: they hold no underscore.
        let mut parts = token.strip_prefix(PREFIX)?.splitn(3, '_');
        let (organization, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let lower_hex = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        if !lower_hex(id) || !lower_hex(secret) || id.len() != 32 {
            return None;
        }
        let mut bytes = Secret::default();
        hex::decode_to_slice(secret, &mut *bytes).ok()?;
        Some(Self {
            organization,
            id: Uuid::try_parse(id).ok()?,
            secret: bytes,
        })
    }

    /// What the stored hash must be.
    pub(super) fn hash(&self, tenant: TenantId) -> [u8; 32] {
        hash(tenant, self.id, &self.secret)
    }
}

/// A new API key: its text is shown once, its hash is kept.
pub struct NewApiKey {
    /// A part of the key, and its name in the API.
    pub id: Uuid,
    /// The whole key.
    pub text: SecretString,
    /// What is kept of the secret.
    pub hash: [u8; 32],
}

impl NewApiKey {
    /// Makes a key.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random(
        organization: &str,
        tenant: TenantId,
    ) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut secret = Secret::default();
        rand::fill(&mut *secret)?;
        let id = Uuid::now_v7();
        let encoded = Zeroizing::new(hex::encode(*secret));
        Ok(Self {
            id,
            text: format!("{PREFIX}{organization}_{}_{}", id.simple(), &*encoded).into(),
            hash: hash(tenant, id, &secret),
        })
    }
}

/// A fast hash is right here: nobody guesses 256 random bits, however fast each
/// guess is, and a slow one would let anybody keep the gateway busy. Tenant and
/// id are in it, so that a hash copied into another row fits nothing.
fn hash(tenant: TenantId, id: Uuid, secret: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update(DOMAIN)
        .chain_update(tenant.0.as_bytes())
        .chain_update(id.as_bytes())
        .chain_update(secret)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));

    #[test]
    fn a_key_reads_back_with_the_hash_that_was_kept() {
        let new = NewApiKey::random("acme", TENANT).unwrap();
        let read = Presented::read(new.text.expose_secret()).expect("a key of our own");
        assert_eq!((read.organization, read.id), ("acme", new.id));
        assert_eq!(read.hash(TENANT), new.hash);
    }

    #[test]
    fn the_hash_is_another_for_another_tenant() {
        let new = NewApiKey::random("acme", TENANT).unwrap();
        let read = Presented::read(new.text.expose_secret()).unwrap();
        assert_ne!(read.hash(TenantId(Uuid::from_u128(2))), new.hash);
    }

    proptest! {
        #[test]
        fn whatever_is_not_exactly_a_key_is_refused(text in "aak_[a-z0-9_-]{0,120}") {
            let canonical = |read: Presented<'_>| {
                format!("aak_{}_{}_{}", read.organization, read.id.simple(), hex::encode(*read.secret))
            };
            if let Some(read) = Presented::read(&text) {
                prop_assert_eq!(canonical(read), text);
            }
        }
    }
}
