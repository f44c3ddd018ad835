//! Key sets (RFC 7517): which key verifies a token, and by which algorithm.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::AuthError;

/// Smallest RSA modulus that is trusted, in bytes (RFC 7518, 3.3: 2048 bits).
const MIN_MODULUS: usize = 256;
/// Most keys of one issuer that are kept.
const MAX_KEYS: usize = 64;

/// A public key with the algorithms it is for.
pub(super) struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    pub(super) verifier: DecodingKey,
}

/// The keys of one issuer.
#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// Reads a key set. Keys of kinds that are not used for signatures here
    /// (symmetric ones above all) and keys that cannot be read are left out
    /// (RFC 7517, 5): an issuer may have them for others.
    pub(super) fn read(document: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_slice(document)?;
        let readable = document.keys.into_iter().take(MAX_KEYS).filter_map(|key| {
            let key: Option<Jwk> = serde_json::from_value(key).ok();
            key
        });
        Ok(Self {
            keys: readable.filter_map(|jwk| key(&jwk)).collect(),
        })
    }

    /// The key for a token's header. The algorithm must be one of the key's own:
    /// the token does not choose how it is verified (RFC 8725, 3.1).
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Result<&Key, AuthError> {
        let fits = |key: &&Key| key.algorithms.contains(&algorithm);
        let Some(id) = id else {
            let mut fitting = self.keys.iter().filter(fits);
            return match (fitting.next(), fitting.next()) {
                (Some(key), None) => Ok(key),
                _ => Err(AuthError::UnknownKey),
            };
        };
        let mut named = self
            .keys
            .iter()
            .filter(|key| key.id.as_deref() == Some(id))
            .peekable();
        if named.peek().is_none() {
            return Err(AuthError::UnknownKey);
        }
        named.find(fits).ok_or(AuthError::Algorithm)
    }

    /// Whether a key is still there.
    pub(super) fn holds(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        self.find(id, algorithm).is_ok()
    }
}

fn key(jwk: &Jwk) -> Option<Key> {
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let possible = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if modulus_bytes(&rsa.n) >= MIN_MODULUS => {
            vec![Algorithm::RS256, Algorithm::RS384, Algorithm::RS512]
        }
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) if matches!(pair.curve, EllipticCurve::Ed25519) => {
            vec![Algorithm::EdDSA]
        }
        _ => return None,
    };
    let algorithms = match jwk.common.key_algorithm {
        Some(stated) => possible
            .into_iter()
            .filter(|algorithm| format!("{algorithm:?}") == stated.to_string())
            .collect(),
        None => possible,
    };
    let verifier = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key {
        id: jwk.common.key_id.clone(),
        algorithms,
        verifier,
    })
}

/// Length of a base64url number without padding.
fn modulus_bytes(encoded: &str) -> usize {
    encoded.len() * 3 / 4
}
