//! Tries idempotent work again, with growing pauses of random length, as long as
//! nothing of an answer has come and time is left.

use std::task::{Context, Poll};
use std::time::Duration;

use agentapi_crds::tenant_config::RetriesConfig;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::{BoxFuture, FutureExt};
use http::StatusCode;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt};

use super::operation::Operation;
use super::stack::Attempt;
use crate::telemetry::Metrics;
use crate::upstream::UpstreamError;

/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Puts retries before a service.
#[derive(Clone, Debug)]
pub(super) struct RetryLayer {
    pub(super) config: RetriesConfig,
    pub(super) metrics: Metrics,
}

/// A service whose idempotent work is tried again.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct Retry<S> {
    inner: S,
    layer: RetryLayer,
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry {
            inner,
            layer: self.clone(),
        }
    }
}

impl RetryLayer {
    /// The pauses between attempts: each twice as long as the one before, and up to as much again.
    fn pauses(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(self.config.backoff_milliseconds))
            .with_max_delay(LONGEST_PAUSE)
            .with_factor(2.0)
            .with_jitter()
            .with_max_times(self.config.attempts as usize)
            .build()
    }
}

/// Whether the work may be done again after an error. A connection that was not
/// made, and a server that is busy or away behind its proxy, have answered nothing.
fn may_try_again(operation: Operation, error: &UpstreamError) -> bool {
    let passing = match error {
        UpstreamError::Unreachable(_) => true,
        UpstreamError::Status(status) => matches!(
            *status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        ),
        _ => false,
    };
    passing && operation.is_idempotent()
}

impl<S, T> Service<Attempt<T>> for Retry<S>
where
    S: Service<Attempt<T>, Response = T, Error = UpstreamError> + Clone + Send + 'static,
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
        let mut inner = self.inner.clone();
        let (mut pauses, metrics) = (self.layer.pauses(), self.layer.metrics.clone());
        async move {
            loop {
                let ready = ServiceExt::<Attempt<T>>::ready(&mut inner).await?;
                let error = match ready.call(attempt.clone()).await {
                    Err(error) if may_try_again(attempt.operation, &error) => error,
                    ended => return ended,
                };
                match pauses.next() {
                    Some(pause) if Instant::now() + pause < attempt.ends => {
                        metrics.upstream_retry(attempt.operation.name());
                        sleep(pause).await;
                    }
                    _ => return Err(error),
                }
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let layer = RetryLayer {
            config: RetriesConfig {
                attempts: 3,
                backoff_milliseconds: 100,
            },
            metrics: Metrics::new(),
        };
        let pauses: Vec<Duration> = layer.pauses().collect();
        assert_eq!(pauses.len(), 3);
        for (pause, least) in pauses.iter().zip([100, 200, 400]) {
            let least = Duration::from_millis(least);
            assert!((least..=least * 2).contains(pause), "{pauses:?}");
        }
    }

    #[test]
    fn what_may_have_an_effect_is_never_done_twice() {
        let away = UpstreamError::Status(StatusCode::SERVICE_UNAVAILABLE);
        for operation in Operation::ALL {
            let again = may_try_again(operation, &away);
            assert_eq!(again, operation != Operation::Call, "{operation:?}");
        }
    }

    #[test]
    fn nothing_is_done_again_once_an_answer_has_begun() {
        for error in [
            UpstreamError::Interrupted,
            UpstreamError::Invalid("x"),
            UpstreamError::Timeout(Duration::ZERO),
            UpstreamError::Status(StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            assert!(!may_try_again(Operation::Read, &error), "{error:?}");
        }
    }
}
