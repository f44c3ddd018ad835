//! An identity provider of the test's own: one Ed25519 key, its key set, and tokens by it.

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// An issuer with a key that exists only in this process.
pub struct Issuer {
    /// Value of `iss`.
    pub url: String,
    key: EncodingKey,
    public: String,
}

/// Audience that the test's organizations accept.
pub const AUDIENCE: &str = "agentapi";
const KEY_ID: &str = "test-1";

impl Issuer {
    /// A new issuer with a new key.
    pub fn new(url: &str) -> Result<Self> {
        let pair =
            Ed25519KeyPair::generate().map_err(|_| anyhow!("no Ed25519 key could be generated"))?;
        let document = pair
            .to_pkcs8v1()
            .map_err(|_| anyhow!("the key has no PKCS#8 form"))?;
        Ok(Self {
            url: url.to_owned(),
            key: EncodingKey::from_ed_der(document.as_ref()),
            public: URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
        })
    }

    /// The key set (RFC 7517) that verifies the issuer's tokens.
    pub fn key_set(&self) -> String {
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": KEY_ID, "use": "sig", "alg": "EdDSA", "x": self.public }] })
            .to_string()
    }

    /// A token that is valid for an hour.
    pub fn token(&self, organization: &str, user: &str, roles: &[&str]) -> Result<String> {
        self.token_with(organization, user, roles, json!({}))
    }

    /// A token with some claims overridden.
    pub fn token_with(
        &self,
        organization: &str,
        user: &str,
        roles: &[&str],
        overrides: Value,
    ) -> Result<String> {
        let now = jiff::Timestamp::now().as_second();
        let mut claims = json!({
            "iss": self.url, "aud": AUDIENCE, "sub": user, "org_id": organization, "roles": roles,
            "iat": now, "exp": now + 3600,
        });
        if let (Some(claims), Some(overrides)) = (claims.as_object_mut(), overrides.as_object()) {
            claims.extend(overrides.clone());
        }
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(KEY_ID.to_owned());
        jsonwebtoken::encode(&header, &claims, &self.key).context("the token could not be signed")
    }
}
