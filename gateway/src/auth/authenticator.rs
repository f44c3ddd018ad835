//! From a bearer token to a caller, verified once and remembered for a while.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::Header;
use moka::sync::Cache;
use serde_json::Value;
use uuid::Uuid;

use agentapi_crds::names::SERVICE_ACCOUNT_AUDIENCE;

use super::api_key::is_api_key;
use super::api_keys::ApiKeys;
use super::bearer::{unverified_claims, unverified_header};
use super::claims::{self, Claims};
use super::service_accounts::{ServiceAccount, ServiceAccounts};
use super::{AuthError, Caller, Issuer};
use crate::store::{ApiKeyStore, TenantId};
use crate::tenants::{Tenant, Tenants};

/// Longest time that a verification is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Most verifications that are remembered.
const CAPACITY: u64 = 100_000;

/// Verifies bearer tokens. Cloning is cheap.
#[derive(Clone)]
pub struct Authenticator {
    tenants: Tenants,
    /// Nothing where there is no cluster.
    service_accounts: Option<ServiceAccounts>,
    verified: Cache<Arc<str>, Arc<Verified>>,
    api_keys: ApiKeys,
}

/// A verification, and what ends it early.
struct Verified {
    caller: Caller,
    by: Verifier,
    header: Header,
    until: Instant,
}

/// Whose keys verified a token.
enum Verifier {
    Issuer(Arc<Issuer>),
    ApiServer(ServiceAccounts),
}

impl Verifier {
    fn still_holds(&self, header: &Header) -> bool {
        match self {
            Self::Issuer(issuer) => issuer.still_holds(header),
            Self::ApiServer(accounts) => accounts.still_holds(header),
        }
    }
}

/// A token that was just verified.
struct Accepted {
    caller: Caller,
    by: Verifier,
    /// `exp`, in seconds since 1970.
    expires: u64,
}

/// Roles of service accounts: they cannot administer.
const SERVICE_ACCOUNT_ROLES: [&str; 1] = ["user"];

impl Authenticator {
    /// An authenticator for all organizations, whose API keys are in `store`.
    /// Without `service_accounts` there is no cluster whose service accounts could call.
    pub fn new(
        tenants: Tenants,
        store: Arc<dyn ApiKeyStore>,
        service_accounts: Option<ServiceAccounts>,
    ) -> Self {
        Self {
            tenants,
            service_accounts,
            api_keys: ApiKeys::new(store),
            verified: Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(REMEMBERED)
                .support_invalidation_closures()
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
        let caller = if is_api_key(token) {
            self.api_keys.verify(&self.tenants, token).await?
        } else {
            match self.remembered(token) {
                Some(caller) => caller,
                None => self.verify(token).await?,
            }
        };
        if organization.is_some_and(|named| named != caller.tenant.config.organization) {
            return Err(AuthError::AnotherOrganization(Box::new(caller)));
        }
        if caller.tenant.config.suspended {
            return Err(AuthError::Suspended);
        }
        Ok(caller)
    }

    /// Makes this replica ask the store about an API key again.
    pub async fn forget_api_key(&self, tenant: TenantId, id: Uuid) {
        self.api_keys.forget(tenant, id).await;
    }

    /// Forgets all tokens of a tenant.
    pub fn forget(&self, tenant: TenantId) {
        let theirs =
            move |_: &Arc<str>, verified: &Arc<Verified>| verified.caller.tenant_id() == tenant;
        if let Err(error) = self.verified.invalidate_entries_if(theirs) {
            tracing::error!(%error, "verified tokens cannot be forgotten");
        }
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
            && verified.by.still_holds(&verified.header);
        holds.then(|| verified.caller.clone())
    }

    async fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        let header = unverified_header(token)?;
        let claims = unverified_claims(token)?;
        let accepted = match self.by_api_server(token, &header, &claims).await? {
            Some(accepted) => accepted,
            None => self.by_issuer(token, &header, &claims).await?,
        };
        Ok(self.remember(token, header, accepted))
    }

    fn remember(&self, token: &str, header: Header, accepted: Accepted) -> Caller {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let left = Duration::from_secs(accepted.expires.saturating_sub(now)).min(REMEMBERED);
        let verified = Verified {
            caller: accepted.caller.clone(),
            by: accepted.by,
            header,
            until: Instant::now() + left,
        };
        self.verified.insert(token.into(), Arc::new(verified));
        accepted.caller
    }

    async fn by_issuer(
        &self,
        token: &str,
        header: &Header,
        claims: &Claims,
    ) -> Result<Accepted, AuthError> {
        let (tenant, issuer) = self.chosen(claims)?;
        let identity = issuer.verify(token, header).await?;
        let caller = Caller::new(tenant, identity.user.into(), identity.roles.into());
        Ok(Accepted {
            caller,
            by: Verifier::Issuer(issuer),
            expires: identity.expires,
        })
    }

    /// Verifies a token of a service account in an organization's own namespace;
    /// nothing if it is not one of the cluster's.
    async fn by_api_server(
        &self,
        token: &str,
        header: &Header,
        claims: &Claims,
    ) -> Result<Option<Accepted>, AuthError> {
        let account =
            ServiceAccount::of(claims).filter(|_| claims::is_for(claims, SERVICE_ACCOUNT_AUDIENCE));
        let Some(account) = account else {
            return Ok(None);
        };
        // An issuer on the web may name its users as it likes.
        let is_declared = || self.chosen(claims).is_ok();
        let Some(accounts) = &self.service_accounts else {
            return if is_declared() {
                Ok(None)
            } else {
                Err(AuthError::NoCluster)
            };
        };
        match accounts.issued(claims).await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(_) if is_declared() => return Ok(None),
            Err(error) => return Err(AuthError::Keys(error)),
        }
        let trusting = |tenant: &Arc<Tenant>| tenant.config.identity.service_accounts;
        let tenant = self
            .tenants
            .in_namespace(&account.namespace)
            .filter(trusting);
        let tenant = tenant.ok_or(AuthError::Untrusted)?;
        let (account, expires) = accounts
            .verify(token, header, SERVICE_ACCOUNT_AUDIENCE)
            .await?;
        let roles = SERVICE_ACCOUNT_ROLES.map(str::to_owned).into();
        let caller = Caller::new(tenant, account.user().into(), roles);
        Ok(Some(Accepted {
            caller,
            by: Verifier::ApiServer(accounts.clone()),
            expires,
        }))
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
