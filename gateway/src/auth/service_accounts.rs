//! Tokens of Kubernetes service accounts (TokenRequest API), verified by the
//! API server's own keys.
//!
//! The keys decide; the API server is asked as well, because they cannot tell
//! that an account or the pod that a token is bound to was deleted. While it is
//! away they decide alone: agents go on, and nothing can be deleted then.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Header, Validation};
use kube::Client;
use moka::sync::Cache;
use serde_json::Value;

use super::api_server::{ApiServer, Review};
use super::bearer::{unverified_claims, unverified_header};
use super::claims::{self, Claims};
use super::issuer::{LEEWAY, refusal};
use super::key_ring::KeyRing;
use super::{AuthError, KeysError};
use crate::telemetry::chain;

/// How long a token that was found revoked is refused without asking again.
const REVOKED: Duration = Duration::from_secs(60);
/// Most such tokens that are remembered.
const MOST_REVOKED: u64 = 10_000;

/// Verifies tokens of the cluster's service accounts. Cloning is cheap.
#[derive(Clone)]
pub struct ServiceAccounts {
    api_server: Arc<ApiServer>,
    keys: KeyRing,
    /// So that whoever goes on using a revoked token does not burden the API server.
    revoked: Cache<Arc<str>, ()>,
}

/// A service account, as a token names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ServiceAccount {
    /// The account that unverified claims name in `sub`, if they name one.
    pub(super) fn of(claims: &Claims) -> Option<Self> {
        let user = claims.get("sub").and_then(Value::as_str)?;
        let (namespace, name) = user
            .strip_prefix("system:serviceaccount:")?
            .split_once(':')?;
        let is_label = |text: &str| !text.is_empty() && !text.contains(':');
        (is_label(namespace) && is_label(name)).then(|| Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }

    /// What Kubernetes calls it as a user.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

impl ServiceAccounts {
    /// Asks the API server by the client's own credentials.
    pub fn new(client: Client) -> Self {
        let api_server = Arc::new(ApiServer::new(client));
        Self {
            keys: KeyRing::of(api_server.clone()),
            api_server,
            revoked: Cache::builder()
                .max_capacity(MOST_REVOKED)
                .time_to_live(REVOKED)
                .build(),
        }
    }

    /// Whether unverified claims are addressed to `audience` by this cluster.
    pub(super) async fn issued(&self, claims: &Claims) -> Result<bool, KeysError> {
        self.keys.ensure().await?;
        let issuer = self.api_server.issuer();
        let stated = claims.get("iss").and_then(Value::as_str);
        Ok(issuer.is_some_and(|issuer| stated == Some(issuer.as_str())))
    }

    /// The account that a token for `audience` is of, and its `exp`, in seconds since 1970.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn authenticate(
        &self,
        token: &str,
        audience: &str,
    ) -> Result<(ServiceAccount, u64), AuthError> {
        let header = unverified_header(token)?;
        let claims = unverified_claims(token)?;
        match self.issued(&claims).await {
            Ok(true) if claims::is_for(&claims, audience) => {
                self.verify(token, &header, audience).await
            }
            Ok(_) => Err(AuthError::Untrusted),
            Err(error) => Err(AuthError::Keys(error)),
        }
    }

    /// Verifies a token for `audience`; returns its account and its `exp`, in seconds since 1970.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub(super) async fn verify(
        &self,
        token: &str,
        header: &Header,
        audience: &str,
    ) -> Result<(ServiceAccount, u64), AuthError> {
        let claims = self.verify_by_keys(token, header, audience).await?;
        let account = ServiceAccount::of(&claims)
            .filter(|account| is_consistent(account, &claims))
            .ok_or(AuthError::Claims("they do not name one service account"))?;
        let user = claims::user(&claims, "sub")?;
        self.ensure_stands(token, audience, &user).await?;
        Ok((account, claims::expires(&claims)))
    }

    async fn ensure_stands(
        &self,
        token: &str,
        audience: &str,
        user: &str,
    ) -> Result<(), AuthError> {
        if self.revoked.contains_key(token) {
            return Err(AuthError::Revoked);
        }
        match self.api_server.review(token, audience, user).await {
            Ok(Review::Stands) => Ok(()),
            Ok(Review::Revoked) => {
                self.revoked.insert(token.into(), ());
                Err(AuthError::Revoked)
            }
            Ok(Review::Away) => {
                tracing::warn!("the API server is away: a token is accepted by its keys alone");
                Ok(())
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "a token is not accepted");
                Err(AuthError::Keys(KeysError::ApiServer {
                    path: "tokenreviews",
                    source: Arc::new(error),
                }))
            }
        }
    }

    async fn verify_by_keys(
        &self,
        token: &str,
        header: &Header,
        audience: &str,
    ) -> Result<Claims, AuthError> {
        let verified = self
            .keys
            .with_keys(header.kid.as_deref(), header.alg, |keys| {
                let key = keys.find(header.kid.as_deref(), header.alg)?;
                let issuer = self.api_server.issuer().ok_or(AuthError::Untrusted)?;
                let mut validation = Validation::new(header.alg);
                validation.leeway = LEEWAY;
                validation.validate_nbf = true;
                validation.set_required_spec_claims(&["exp", "iss", "aud"]);
                validation.set_issuer(&[issuer.as_str()]);
                validation.set_audience(&[audience]);
                jsonwebtoken::decode::<Claims>(token, &key.verifier, &validation).map_err(refusal)
            });
        Ok(verified.await?.claims)
    }

    /// Whether the key that verified a token is still the API server's.
    pub(super) fn still_holds(&self, header: &Header) -> bool {
        self.keys.holds(header.kid.as_deref(), header.alg)
    }
}

/// Whether the account of `sub` is the one that the API server's own claim names.
fn is_consistent(account: &ServiceAccount, claims: &Claims) -> bool {
    let stated = claims.get("kubernetes.io");
    let text = |pointer: &str| stated?.pointer(pointer)?.as_str();
    text("/namespace") == Some(&account.namespace)
        && text("/serviceaccount/name") == Some(&account.name)
}

#[cfg(test)]
#[path = "service_accounts_tests.rs"]
mod tests;
