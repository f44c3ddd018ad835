//! Ed25519 signatures (RFC 8032) of checkpoints and exports.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

/// First line of a private key in PEM (RFC 7468).
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
/// Its last line.
const END: &str = "-----END PRIVATE KEY-----";

/// Why keys cannot be used. The text of a private key is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A private key is none that signs here.
    #[error(
        "key {position} must be an Ed25519 private key as PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` makes it"
    )]
    PrivateKey {
        /// Position among the keys, from 1.
        position: usize,
    },
    /// There is no private key.
    #[error("there is no private key: expected PEM that begins with {BEGIN}")]
    NoPrivateKey,
    /// A key set cannot be read.
    #[error("the key set is not a JSON Web Key Set (RFC 7517)")]
    KeySet(#[source] serde_json::Error),
    /// A key set holds no key that verifies here.
    #[error("the key set holds no Ed25519 key (`kty` OKP, `crv` Ed25519)")]
    NoPublicKey,
}

/// Signs checkpoints and exports with one key; knows the public halves of older ones.
pub struct Signer {
    pair: Ed25519KeyPair,
    id: String,
    keys: VerifyingKeys,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Signer({})", self.id)
    }
}

impl Signer {
    /// Reads private keys in PEM, one after the other: the first one signs, all verify.
    ///
    /// # Errors
    /// [`KeyError::PrivateKey`], [`KeyError::NoPrivateKey`].
    pub fn from_pem(pem: &SecretString) -> Result<Self, KeyError> {
        let mut pairs = pem
            .expose_secret()
            .split(BEGIN)
            .skip(1)
            .enumerate()
            .map(|(index, block)| {
                key_pair(block).ok_or(KeyError::PrivateKey {
                    position: index + 1,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if pairs.is_empty() {
            return Err(KeyError::NoPrivateKey);
        }
        let mut keys = VerifyingKeys::default();
        for pair in &pairs {
            keys.add(pair.public_key().as_ref());
        }
        let pair = pairs.swap_remove(0);
        Ok(Self {
            id: thumbprint(pair.public_key().as_ref()),
            pair,
            keys,
        })
    }

    /// Name of the key that signs.
    pub fn key_id(&self) -> &str {
        &self.id
    }

    /// What verifies: this key and the older ones.
    pub fn keys(&self) -> &VerifyingKeys {
        &self.keys
    }

    /// The signature of some bytes.
    pub fn sign(&self, bytes: &[u8]) -> Signature {
        Signature {
            key: self.id.clone(),
            value: URL_SAFE_NO_PAD.encode(self.pair.sign(bytes)),
        }
    }
}

/// A signature, and the name of the key that made it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, Deserialize)]
pub struct Signature {
    /// Name of the key: its JWK thumbprint (RFC 7638).
    pub key: String,
    /// 64 bytes in base64url without padding.
    pub value: String,
}

/// Public keys by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyingKeys(BTreeMap<String, Vec<u8>>);

impl VerifyingKeys {
    /// Reads a JSON Web Key Set (RFC 7517, RFC 8037); keys of other types are left out.
    ///
    /// # Errors
    /// [`KeyError::KeySet`], [`KeyError::NoPublicKey`].
    pub fn from_key_set(text: &str) -> Result<Self, KeyError> {
        let set: KeySet = serde_json::from_str(text).map_err(KeyError::KeySet)?;
        let mut keys = Self::default();
        for key in set.keys {
            let x = key.x.as_deref().map(|x| URL_SAFE_NO_PAD.decode(x));
            if let (Some("Ed25519"), Some(Ok(public))) = (key.crv.as_deref(), x) {
                keys.add(&public);
            }
        }
        if keys.0.is_empty() {
            return Err(KeyError::NoPublicKey);
        }
        Ok(keys)
    }

    /// The keys as a JSON Web Key Set.
    pub fn key_set(&self) -> serde_json::Value {
        let key = |(id, public): (&String, &Vec<u8>)| {
            json!({
                "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
                "kid": id, "x": URL_SAFE_NO_PAD.encode(public),
            })
        };
        json!({ "keys": self.0.iter().map(key).collect::<Vec<_>>() })
    }

    /// The names of the keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether a signature of some bytes is that of one of these keys.
    pub fn verify(&self, bytes: &[u8], signature: &Signature) -> bool {
        let Some(public) = self.0.get(&signature.key) else {
            return false;
        };
        URL_SAFE_NO_PAD.decode(&signature.value).is_ok_and(|value| {
            UnparsedPublicKey::new(&ED25519, public)
                .verify(bytes, &value)
                .is_ok()
        })
    }

    fn add(&mut self, public: &[u8]) {
        self.0.insert(thumbprint(public), public.to_vec());
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<PublicKey>,
}

#[derive(Deserialize)]
struct PublicKey {
    crv: Option<String>,
    x: Option<String>,
}

/// RFC 7638: SHA-256 over the required members in order.
fn thumbprint(public: &[u8]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public);
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()))
}

fn key_pair(block: &str) -> Option<Ed25519KeyPair> {
    let (body, _) = block.split_once(END)?;
    let body: String = body.split_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok()
}

#[cfg(test)]
#[path = "signing_tests.rs"]
pub(crate) mod tests;
