//! Everything that an operation on a server passes: breakers, retries, a deadline.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use agentapi_crds::tenant_config::{BreakerConfig, RetriesConfig};
use futures::future::{BoxFuture, FutureExt};
use tokio::time::{Instant, timeout_at};
use tower::{Layer, Service, ServiceBuilder};

use super::guard::{Breakers, Guard, GuardLayer};
use super::operation::Operation;
use super::retry::{Retry, RetryLayer};
use crate::telemetry::Metrics;
use crate::upstream::UpstreamError;

type Work<T> = Arc<dyn Fn() -> BoxFuture<'static, Result<T, UpstreamError>> + Send + Sync>;

/// An operation that can be tried, and when all trying ends.
pub(in crate::upstream) struct Attempt<T> {
    pub(super) operation: Operation,
    pub(super) ends: Instant,
    work: Work<T>,
}

impl<T> Clone for Attempt<T> {
    fn clone(&self) -> Self {
        Self {
            operation: self.operation,
            ends: self.ends,
            work: self.work.clone(),
        }
    }
}

impl<T> Attempt<T> {
    pub(in crate::upstream) fn new(
        operation: Operation,
        limit: Duration,
        work: impl Fn() -> BoxFuture<'static, Result<T, UpstreamError>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            operation,
            ends: Instant::now() + limit,
            work: Arc::new(work),
        }
    }
}

/// Breakers, behind them retries, behind them a deadline, behind that the work:
/// an operation counts once with its breaker, and all its attempts share one deadline.
pub(in crate::upstream) type Stack = Guard<Retry<InTime<Perform>>>;

/// The stack of one server.
pub(in crate::upstream) fn stack(
    limit: Duration,
    retries: RetriesConfig,
    breaker: BreakerConfig,
    metrics: &Metrics,
) -> Stack {
    let breakers = Breakers::new(breaker, metrics.clone());
    ServiceBuilder::new()
        .layer(GuardLayer(Arc::new(breakers)))
        .layer(RetryLayer {
            config: retries,
            metrics: metrics.clone(),
        })
        .layer(InTimeLayer(limit))
        .service(Perform)
}

/// Puts the attempts' deadline before a service.
#[derive(Clone, Copy, Debug)]
struct InTimeLayer(Duration);

/// A service that has answered, or at least begun to, before a deadline.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct InTime<S> {
    inner: S,
    limit: Duration,
}

impl<S> Layer<S> for InTimeLayer {
    type Service = InTime<S>;

    fn layer(&self, inner: S) -> InTime<S> {
        let limit = self.0;
        InTime { inner, limit }
    }
}

impl<S, T> Service<Attempt<T>> for InTime<S>
where
    S: Service<Attempt<T>, Response = T, Error = UpstreamError>,
    S::Future: Send + 'static,
    T: Send + 'static,
{
    type Response = T;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Result<T, UpstreamError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, attempt: Attempt<T>) -> Self::Future {
        let (ends, limit) = (attempt.ends, self.limit);
        let performed = self.inner.call(attempt);
        async move {
            let in_time = timeout_at(ends, performed).await;
            in_time.unwrap_or(Err(UpstreamError::Timeout(limit)))
        }
        .boxed()
    }
}

/// Does the work.
#[derive(Clone, Copy, Debug)]
pub(in crate::upstream) struct Perform;

impl<T: Send + 'static> Service<Attempt<T>> for Perform {
    type Response = T;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Result<T, UpstreamError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<T>) -> Self::Future {
        (attempt.work)()
    }
}
