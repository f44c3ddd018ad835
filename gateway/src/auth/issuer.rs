//! One issuer that one organization trusts.

use std::sync::Arc;

use agentapi_crds::tenant_config::IssuerConfig;
use jsonwebtoken::{Header, Validation};
use serde_json::Value;

use super::AuthError;
use super::bearer::unverified_header;
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

/// Who has logged in with a browser.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: Arc<str>,
    /// Roles, as tokens of the issuer name them.
    pub roles: Arc<[String]>,
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
        let claims = self.verified(token, header, &self.config.audiences).await?;
        Ok(Identity {
            user: claims::user(&claims, &self.config.claims.user)?,
            roles: claims::roles(&claims, &self.config.claims.roles)?,
            expires: claims::expires(&claims),
        })
    }

    /// The claims of a token that is the issuer's, in time, and for one of the audiences.
    async fn verified(
        &self,
        token: &str,
        header: &Header,
        audiences: &[String],
    ) -> Result<Claims, AuthError> {
        let verified = self
            .keys
            .with_keys(header.kid.as_deref(), header.alg, |keys| {
                let key = keys.find(header.kid.as_deref(), header.alg)?;
                let mut validation = Validation::new(header.alg);
                validation.leeway = LEEWAY;
                validation.validate_nbf = true;
                validation.set_required_spec_claims(&["exp", "iss", "aud"]);
                validation.set_issuer(&[&self.config.issuer]);
                validation.set_audience(audiences);
                jsonwebtoken::decode::<Claims>(token, &key.verifier, &validation).map_err(refusal)
            });
        Ok(verified.await?.claims)
    }

    /// Who an ID token of a login says has logged in (OpenID Connect Core 1.0, section 3.1.3.7).
    ///
    /// # Errors
    /// See [`AuthError`].
    pub(crate) async fn verify_login(
        &self,
        token: &str,
        client_id: &str,
        nonce: &str,
    ) -> Result<Login, AuthError> {
        let header = unverified_header(token)?;
        let audience = [client_id.to_owned()];
        let claims = self.verified(token, &header, &audience).await?;
        let says = |claim: &str, expected: &str| {
            claims.get(claim).and_then(Value::as_str) == Some(expected)
        };
        if !says("nonce", nonce) {
            return Err(AuthError::Claims("the login is another one's"));
        }
        if claims.contains_key("azp") && !says("azp", client_id) {
            return Err(AuthError::Untrusted);
        }
        let organization = claims::at(&claims, &self.config.claims.organization);
        if organization.and_then(Value::as_str) != Some(&self.config.organization_value) {
            return Err(AuthError::Untrusted);
        }
        Ok(Login {
            user: claims::user(&claims, &self.config.claims.user)?.into(),
            roles: claims::roles(&claims, &self.config.claims.roles)?.into(),
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
