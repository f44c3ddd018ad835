//! One issuer that one organization trusts.

use agentapi_crds::tenant_config::IssuerConfig;
use jsonwebtoken::{Header, Validation};
use serde_json::Value;

use super::AuthError;
use super::claims::{self, Claims};
use super::key_ring::{KeyRing, KeysState};
use crate::upstream::HttpClient;

/// Difference between clocks that is tolerated, in seconds.
pub(super) const LEEWAY: u64 = 30;

/// One issuer that one organization trusts. Issuers shared by organizations are
/// separate values with separate keys: nobody's keys speak for another.
pub struct Issuer {
    /// The configuration it was compiled from.
    pub config: IssuerConfig,
    keys: KeyRing,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Issuer")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What a verified token says.
pub(super) struct Identity {
    pub(super) user: String,
    pub(super) roles: Vec<String>,
    /// `exp`, in seconds since 1970.
    pub(super) expires: u64,
}

impl Issuer {
    /// Prepares an issuer. `http` carries the organization's egress policy.
    ///
    /// # Errors
    /// When inline keys are not a key set.
    pub fn compile(config: &IssuerConfig, http: &HttpClient) -> Result<Self, serde_json::Error> {
        let keys = KeyRing::new(&config.issuer, &config.keys, http.clone())?;
        Ok(Self {
            config: config.clone(),
            keys,
        })
    }

    /// Whether its keys are at hand.
    pub fn keys(&self) -> KeysState {
        self.keys.state()
    }

    /// Whether unverified claims are addressed to this organization through this issuer.
    pub(super) fn claims_fit(&self, claims: &Claims) -> bool {
        let text =
            |value: Option<&Value>, expected: &str| value.and_then(Value::as_str) == Some(expected);
        let accepted = self.config.audiences.iter();
        accepted
            .map(String::as_str)
            .any(|audience| claims::is_for(claims, audience))
            && text(claims.get("iss"), &self.config.issuer)
            && text(
                claims::at(claims, &self.config.claims.organization),
                &self.config.organization_value,
            )
    }

    /// Verifies a token whose header and claims have chosen this issuer.
    pub(super) async fn verify(&self, token: &str, header: &Header) -> Result<Identity, AuthError> {
        let verified = self
            .keys
            .with_keys(header.kid.as_deref(), header.alg, |keys| {
                let key = keys.find(header.kid.as_deref(), header.alg)?;
                let mut validation = Validation::new(header.alg);
                validation.leeway = LEEWAY;
                validation.validate_nbf = true;
                validation.set_required_spec_claims(&["exp", "iss", "aud"]);
                validation.set_issuer(&[&self.config.issuer]);
                validation.set_audience(&self.config.audiences);
                jsonwebtoken::decode::<Claims>(token, &key.verifier, &validation).map_err(refusal)
            });
        let claims = verified.await?.claims;
        Ok(Identity {
            user: claims::user(&claims, &self.config.claims.user)?,
            roles: claims::roles(&claims, &self.config.claims.roles)?,
            expires: claims::expires(&claims),
        })
    }

    /// Whether the key that verified a token is still the issuer's.
    pub(super) fn still_holds(&self, header: &Header) -> bool {
        self.keys.holds(header.kid.as_deref(), header.alg)
    }
}

pub(super) fn refusal(error: jsonwebtoken::errors::Error) -> AuthError {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::ExpiredSignature => AuthError::Expired,
        ErrorKind::ImmatureSignature => AuthError::NotYetValid,
        ErrorKind::InvalidSignature => AuthError::Signature,
        ErrorKind::InvalidAlgorithm => AuthError::Algorithm,
        ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => AuthError::Untrusted,
        ErrorKind::MissingRequiredClaim(_) => AuthError::Claims("exp, iss and aud are required"),
        _ => AuthError::Malformed("it is not a signed JWT"),
    }
}
