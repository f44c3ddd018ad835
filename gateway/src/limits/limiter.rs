//! Which buckets a request takes from.

use std::time::Duration;

use agentapi_crds::tenant_config::{RateConfig, RateLimitsConfig, RequestClass};
use aws_lc_rs::digest;
use uuid::Uuid;

use super::{Level, Rate, Shared};
use crate::cache::{Bucket, Taken};
use crate::store::TenantId;
use crate::tenants::Tenant;

/// What a request is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may go on.
    pub allowed: bool,
    /// Requests that may come at once (`RateLimit-Limit`).
    pub limit: u32,
    /// How many may still come now (`RateLimit-Remaining`).
    pub remaining: u32,
    /// Until all of them may come again (`RateLimit-Reset`).
    pub reset_after: Duration,
    /// Until it is worth trying again (`Retry-After`); where it was refused.
    pub retry_after: Option<Duration>,
}

/// What came of no request.
const NOTHING_TAKEN: Taken = Taken {
    allowed: true,
    levels: Vec::new(),
};

/// Limits requests by user and class, and by organization. Cloning is cheap.
#[derive(Clone)]
pub struct Limiter {
    shared: Shared,
}

impl Limiter {
    /// A limiter on buckets that replicas share.
    pub fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Counts a request of a user, unless it is refused.
    pub async fn check(&self, tenant: &Tenant, user: &str, class: RequestClass) -> Decision {
        self.check_limits(tenant.id, &tenant.config.rate_limits, user, class)
            .await
    }

    /// As [`check`](Limiter::check), by limits that are given.
    pub async fn check_limits(
        &self,
        tenant: TenantId,
        limits: &RateLimitsConfig,
        user: &str,
        class: RequestClass,
    ) -> Decision {
        let buckets = buckets(tenant.0, limits, user, class);
        decide(&self.shared.take(&buckets).await)
    }

    /// Counts several requests that a user sent at once: tells of the first that is
    /// refused, or of the last.
    pub async fn check_times(
        &self,
        tenant: &Tenant,
        user: &str,
        class: RequestClass,
        times: usize,
    ) -> Decision {
        let buckets = buckets(tenant.id.0, &tenant.config.rate_limits, user, class);
        let taken = self.shared.take_times(&buckets, times).await;
        let refused = taken.iter().find(|taken| !taken.allowed);
        decide(refused.or(taken.last()).unwrap_or(&NOTHING_TAKEN))
    }
}

/// The user's bucket for the class, and the organization's if it has one.
fn buckets(
    tenant: Uuid,
    limits: &RateLimitsConfig,
    user: &str,
    class: RequestClass,
) -> Vec<Bucket> {
    let of_user = limits.overrides.get(&class).unwrap_or(&limits.per_user);
    // Hashed: ids of users may be long and personal. The braces keep an
    // organization's buckets on one node of a Redis cluster.
    let user = digest::digest(&digest::SHA256, user.as_bytes());
    let user = hex::encode(&user.as_ref()[..16]);
    let mut buckets = vec![Bucket {
        key: format!("agentapi:rate:{{{tenant}}}:{}:{user}", class_name(class)),
        rate: rate(of_user),
    }];
    buckets.extend(limits.organization.as_ref().map(|limit| Bucket {
        key: format!("agentapi:rate:{{{tenant}}}"),
        rate: rate(limit),
    }));
    buckets
}

/// What the tightest bucket says: the one to wait for longest, else the one with least left.
fn decide(taken: &Taken) -> Decision {
    let tightest = taken
        .levels
        .iter()
        .copied()
        .max_by_key(|level| {
            (
                level.retry_after * u32::from(!taken.allowed),
                std::cmp::Reverse(level.remaining),
            )
        })
        .unwrap_or(Level {
            limit: 0,
            remaining: 0,
            reset_after: Duration::ZERO,
            retry_after: Duration::ZERO,
        });
    Decision {
        allowed: taken.allowed,
        limit: tightest.limit,
        remaining: tightest.remaining,
        reset_after: tightest.reset_after,
        retry_after: (!taken.allowed).then_some(tightest.retry_after),
    }
}

fn rate(config: &RateConfig) -> Rate {
    Rate::new(config.requests_per_minute, config.burst)
}

fn class_name(class: RequestClass) -> &'static str {
    match class {
        RequestClass::Api => "api",
        RequestClass::Mcp => "mcp",
        RequestClass::Models => "models",
    }
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
