//! The operator's service account, and nobody else.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agentapi_crds::names::{INTERNAL_AUDIENCE, OPERATOR_SERVICE_ACCOUNT};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use moka::sync::Cache;

use super::Internal;
use super::refusal::Refusal;
use crate::auth::{ServiceAccount, ServiceAccounts, bearer};

/// Longest time that a token is let in without another look at it.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Tokens that are remembered: the operator has one at a time.
const MOST: u64 = 64;

/// Lets the operator in. Cloning is cheap.
#[derive(Clone)]
pub struct OperatorAccess {
    accounts: ServiceAccounts,
    operator: ServiceAccount,
    let_in: Cache<Arc<str>, Instant>,
}

impl OperatorAccess {
    /// Access for the operator's service account in the platform's namespace.
    pub fn new(accounts: ServiceAccounts, platform_namespace: &str) -> Self {
        Self {
            accounts,
            operator: ServiceAccount {
                namespace: platform_namespace.to_owned(),
                name: OPERATOR_SERVICE_ACCOUNT.to_owned(),
            },
            let_in: Cache::builder()
                .max_capacity(MOST)
                .time_to_live(REMEMBERED)
                .build(),
        }
    }

    async fn check(&self, token: &str) -> Result<(), Refusal> {
        if self
            .let_in
            .get(token)
            .is_some_and(|until| Instant::now() < until)
        {
            return Ok(());
        }
        let verified = self.accounts.authenticate(token, INTERNAL_AUDIENCE).await;
        let (account, expires) = verified.map_err(Refusal::Token)?;
        if account != self.operator {
            return Err(Refusal::NotTheOperator(account.user()));
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let left = Duration::from_secs(expires)
            .saturating_sub(now)
            .min(REMEMBERED);
        self.let_in.insert(token.into(), Instant::now() + left);
        Ok(())
    }
}

pub(super) async fn operator_only(
    State(internal): State<Internal>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let token = bearer(request.headers()).map_err(Refusal::Token)?;
    internal.access.check(token).await.inspect_err(|refusal| {
        tracing::warn!(%refusal, path = request.uri().path(), "a caller of the internal API is refused");
    })?;
    Ok(next.run(request).await)
}
