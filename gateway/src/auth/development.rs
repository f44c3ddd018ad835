//! The issuer of the embedded mode.
//!
//! It exists only where the embedding program passes its public key in; there is
//! no configuration that creates one, so `agentapi-gateway serve` cannot trust it.

use agentapi_crds::tenant_config::{ClaimPaths, IssuerConfig, IssuerKeys};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// An issuer whose private key lies on the developer's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevelopmentIssuer {
    key_set: String,
}

impl DevelopmentIssuer {
    /// `iss` of its tokens.
    pub const ISSUER: &'static str = "urn:agentapi:development";
    /// `aud` of its tokens.
    pub const AUDIENCE: &'static str = "agentapi";
    /// `kid` of its tokens.
    pub const KEY_ID: &'static str = "development";
    /// Claim with the user.
    pub const USER_CLAIM: &'static str = "sub";
    /// Claim with the organization's name.
    pub const ORGANIZATION_CLAIM: &'static str = "org_id";
    /// Claim with the list of roles.
    pub const ROLES_CLAIM: &'static str = "roles";

    /// The issuer with this Ed25519 public key (RFC 8032, 5.1.5).
    pub fn new(public_key: &[u8; 32]) -> Self {
        let key = json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
            "kid": Self::KEY_ID, "x": URL_SAFE_NO_PAD.encode(public_key),
        });
        Self {
            key_set: json!({ "keys": [key] }).to_string(),
        }
    }

    /// What an organization without an issuer of its own trusts.
    pub(crate) fn config_for(&self, organization: &str) -> IssuerConfig {
        IssuerConfig {
            issuer: Self::ISSUER.to_owned(),
            keys: IssuerKeys::Inline(self.key_set.clone()),
            audiences: vec![Self::AUDIENCE.to_owned()],
            claims: ClaimPaths {
                user: Self::USER_CLAIM.to_owned(),
                organization: Self::ORGANIZATION_CLAIM.to_owned(),
                roles: Self::ROLES_CLAIM.to_owned(),
            },
            organization_value: organization.to_owned(),
            login: None,
        }
    }
}
