//! Tokens between the gateway and the bridges of stdio servers: signed by the
//! gateway, for one server, for a minute (RFC 7519, EdDSA by RFC 8037).

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderValue;
use jiff::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// `iss` of the tokens.
const ISSUER: &str = "agentapi-gateway";
/// Seconds that a token is good for.
const LIFETIME: i64 = 60;
/// Longest lifetime that a bridge accepts, in seconds.
const MAX_LIFETIME: i64 = 300;
/// Seconds that clocks may differ by.
const LEEWAY: i64 = 30;

/// Why a key or a token is no good.
#[derive(Debug, thiserror::Error)]
pub enum BridgeTokenError {
    /// The signing key is not one.
    #[error("the bridges' signing key must be an Ed25519 key in PKCS#8 PEM")]
    SigningKey,
    /// The system gives no random numbers.
    #[error("no key can be generated on this machine")]
    Generate,
    /// A token could not be signed.
    #[error("a token for a bridge could not be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
    /// The key set is not one.
    #[error("the bridges' key set is not a JSON Web Key Set")]
    KeySet(#[source] serde_json::Error),
    /// The key set holds no key that could verify a token.
    #[error("the bridges' key set holds no Ed25519 key")]
    NoKey,
    /// The token is not accepted.
    #[error("the token is not accepted")]
    Token(#[source] jsonwebtoken::errors::Error),
    /// The token is good for longer than it should be.
    #[error("the token is good for more than {MAX_LIFETIME} seconds")]
    LongLived,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
}

/// `aud` of the tokens for the bridge of one server.
pub(crate) fn audience(namespace: &str, server: &str) -> String {
    format!("agentapi-bridge/{namespace}/{server}")
}

/// Signs tokens.
pub struct BridgeSigner {
    key: EncodingKey,
    public: [u8; 32],
}

impl std::fmt::Debug for BridgeSigner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("BridgeSigner")
    }
}

impl BridgeSigner {
    /// A signer with the key in a PEM text.
    ///
    /// # Errors
    /// [`BridgeTokenError::SigningKey`].
    pub fn from_pem(pem: &SecretString) -> Result<Self, BridgeTokenError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose_secret().as_bytes())
            .map_err(|_| BridgeTokenError::SigningKey)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map_err(|_| BridgeTokenError::SigningKey)?;
        let public = pair.public_key().as_ref().try_into();
        Ok(Self {
            key: EncodingKey::from_ed_der(der.secret_pkcs8_der()),
            public: public.map_err(|_| BridgeTokenError::SigningKey)?,
        })
    }

    /// A new key, in PEM as [`BridgeSigner::from_pem`] takes it.
    ///
    /// # Errors
    /// [`BridgeTokenError::Generate`].
    pub fn generate() -> Result<SecretString, BridgeTokenError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| BridgeTokenError::Generate)?;
        let document = pair.to_pkcs8v1().map_err(|_| BridgeTokenError::Generate)?;
        let body = STANDARD.encode(document.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        Ok(SecretString::from(pem))
    }

    /// The public key as a JSON Web Key Set (RFC 7517): what bridges are given.
    pub fn key_set(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.public);
        serde_json::json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "x": x }] })
            .to_string()
    }

    /// The `Authorization` field for one server's bridge.
    ///
    /// # Errors
    /// [`BridgeTokenError::Sign`].
    pub(super) fn authorization(&self, audience: &str) -> Result<HeaderValue, BridgeTokenError> {
        let token = self.token(audience, LIFETIME)?;
        // Base64url and dots: always a header field's value.
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| BridgeTokenError::SigningKey)?;
        value.set_sensitive(true);
        Ok(value)
    }

    pub(crate) fn token(&self, audience: &str, lifetime: i64) -> Result<String, BridgeTokenError> {
        let now = Timestamp::now().as_second();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: audience.to_owned(),
            iat: now,
            exp: now + lifetime,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.key)
            .map_err(BridgeTokenError::Sign)
    }
}

/// Verifies tokens for one server.
pub struct BridgeVerifier {
    keys: Vec<DecodingKey>,
    validation: Validation,
}

impl std::fmt::Debug for BridgeVerifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("BridgeVerifier")
    }
}

impl BridgeVerifier {
    /// A verifier with the keys of a JSON Web Key Set; those that are not Ed25519 are left out.
    ///
    /// # Errors
    /// [`BridgeTokenError::KeySet`], [`BridgeTokenError::NoKey`].
    pub fn new(key_set: &str, audience: &str) -> Result<Self, BridgeTokenError> {
        let set: JwkSet = serde_json::from_str(key_set).map_err(BridgeTokenError::KeySet)?;
        let ed25519 = set.keys.iter().filter(|key| {
            matches!(&key.algorithm, AlgorithmParameters::OctetKeyPair(pair)
                if matches!(pair.curve, EllipticCurve::Ed25519))
        });
        let keys: Vec<_> = ed25519
            .filter_map(|key| DecodingKey::from_jwk(key).ok())
            .collect();
        if keys.is_empty() {
            return Err(BridgeTokenError::NoKey);
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[audience]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        validation.leeway = LEEWAY.unsigned_abs();
        Ok(Self { keys, validation })
    }

    /// Whether a token is the gateway's, for this server, and short-lived. There are as
    /// many keys as a rotation needs: each is tried.
    ///
    /// # Errors
    /// [`BridgeTokenError::Token`], [`BridgeTokenError::LongLived`].
    pub fn verify(&self, token: &str) -> Result<(), BridgeTokenError> {
        let mut refused = BridgeTokenError::NoKey;
        for key in &self.keys {
            match jsonwebtoken::decode::<Claims>(token, key, &self.validation) {
                Ok(token) => return short_lived(&token.claims),
                Err(error) => refused = BridgeTokenError::Token(error),
            }
        }
        Err(refused)
    }
}

fn short_lived(claims: &Claims) -> Result<(), BridgeTokenError> {
    let latest = Timestamp::now().as_second() + MAX_LIFETIME + LEEWAY;
    if claims.exp - claims.iat > MAX_LIFETIME || claims.exp > latest {
        return Err(BridgeTokenError::LongLived);
    }
    Ok(())
}

#[cfg(test)]
pub(crate) fn test_signer() -> BridgeSigner {
    BridgeSigner::from_pem(&BridgeSigner::generate().unwrap()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verifier(signer: &BridgeSigner) -> BridgeVerifier {
        BridgeVerifier::new(&signer.key_set(), &audience("org-acme", "notes")).unwrap()
    }

    #[test]
    fn the_gateways_token_for_the_server_is_accepted() {
        let signer = test_signer();
        let token = signer.token("agentapi-bridge/org-acme/notes", LIFETIME);
        verifier(&signer).verify(&token.unwrap()).unwrap();
    }

    #[test]
    fn every_other_token_is_refused() {
        let signer = test_signer();
        let ours = audience("org-acme", "notes");
        let theirs = audience("org-globex", "notes");
        let unsigned = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
            URL_SAFE_NO_PAD.encode(format!(
                r#"{{"iss":"{ISSUER}","aud":"{ours}","iat":0,"exp":99999999999}}"#
            ))
        );
        let cases = [
            ("no token", String::new()),
            ("alg none", unsigned),
            ("another server's", signer.token(&theirs, LIFETIME).unwrap()),
            ("an expired one", signer.token(&ours, -60).unwrap()),
            ("a long-lived one", signer.token(&ours, 3600).unwrap()),
            (
                "one of another gateway",
                test_signer().token(&ours, LIFETIME).unwrap(),
            ),
        ];
        let verifier = verifier(&signer);
        for (what, token) in cases {
            assert!(verifier.verify(&token).is_err(), "{what} is accepted");
        }
    }

    #[test]
    fn a_key_set_without_keys_verifies_nothing_and_is_refused() {
        for set in [
            r#"{"keys":[]}"#,
            r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#,
        ] {
            let refused = BridgeVerifier::new(set, "x");
            assert!(matches!(refused, Err(BridgeTokenError::NoKey)), "{set}");
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        for pem in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            let refused = BridgeSigner::from_pem(&SecretString::from(pem.to_owned()));
            assert!(refused.is_err(), "{pem}");
        }
    }
}
