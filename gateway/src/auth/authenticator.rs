//! From a bearer token to a caller, verified once and remembered for a while.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::Header;
use moka::sync::Cache;
use serde_json::Value;

use super::claims::Claims;
use super::{AuthError, Caller, Issuer};
use crate::tenants::{Tenant, Tenants};

/// Longest time that a verification is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Most verifications that are remembered.
const CAPACITY: u64 = 100_000;

/// Verifies bearer tokens. Cloning is cheap.
#[derive(Clone)]
pub struct Authenticator {
    tenants: Tenants,
    verified: Cache<Arc<str>, Arc<Verified>>,
}

/// A verification, and what ends it early.
struct Verified {
    caller: Caller,
    issuer: Arc<Issuer>,
    header: Header,
    until: Instant,
}

impl Authenticator {
    /// An authenticator for all organizations.
    pub fn new(tenants: Tenants) -> Self {
        Self {
            tenants,
            verified: Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(REMEMBERED)
                .build(),
        }
    }

    /// The caller that a token stands for. Where the request's path names an
    /// organization, the token must be that organization's.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn authenticate(
        &self,
        token: &str,
        organization: Option<&str>,
    ) -> Result<Caller, AuthError> {
        let caller = match self.remembered(token) {
            Some(caller) => caller,
            None => self.verify(token).await?,
        };
        if organization.is_some_and(|named| named != caller.tenant.config.organization) {
            return Err(AuthError::AnotherOrganization(Box::new(caller)));
        }
        if caller.tenant.config.suspended {
            return Err(AuthError::Suspended);
        }
        Ok(caller)
    }

    /// A verification that still holds: not expired, same configuration, same key.
    /// The whole token is compared, not only its hash.
    fn remembered(&self, token: &str) -> Option<Caller> {
        let verified = self.verified.get(token)?;
        let current = self
            .tenants
            .get(&verified.caller.tenant.config.organization)?;
        let holds = Arc::ptr_eq(&current, &verified.caller.tenant)
            && Instant::now() < verified.until
            && verified.issuer.still_holds(&verified.header);
        holds.then(|| verified.caller.clone())
    }

    async fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        let malformed = |_| AuthError::Malformed("it is not a signed JWT");
        let header = jsonwebtoken::decode_header(token).map_err(malformed)?;
        // RFC 7515, 4.1.11: no extension is understood here.
        if header.crit.is_some() {
            return Err(AuthError::Malformed("its header names critical extensions"));
        }
        let claims: Claims =
            jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(malformed)?;
        let (tenant, issuer) = self.chosen(&claims)?;
        let identity = issuer.verify(token, &header).await?;
        let caller = Caller::new(tenant, identity.user.into(), identity.roles.into());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let left = Duration::from_secs(identity.expires.saturating_sub(now)).min(REMEMBERED);
        let verified = Verified {
            caller: caller.clone(),
            issuer,
            header,
            until: Instant::now() + left,
        };
        self.verified.insert(token.into(), Arc::new(verified));
        Ok(caller)
    }

    /// The one organization and issuer that unverified claims address. If several
    /// do, none is chosen: the operator stalls such claims, and guessing would
    /// let one organization's token speak for another.
    fn chosen(&self, claims: &Claims) -> Result<(Arc<Tenant>, Arc<Issuer>), AuthError> {
        let issuer = claims
            .get("iss")
            .and_then(Value::as_str)
            .ok_or(AuthError::Untrusted)?;
        let mut chosen = None;
        for tenant in self.tenants.trusting(issuer) {
            for issuer in tenant
                .issuers
                .iter()
                .filter(|issuer| issuer.claims_fit(claims))
            {
                if chosen.is_some() {
                    return Err(AuthError::Untrusted);
                }
                chosen = Some((tenant.clone(), issuer.clone()));
            }
        }
        chosen.ok_or(AuthError::Untrusted)
    }
}

#[cfg(test)]
#[path = "authenticator_tests.rs"]
mod tests;
