//! The breakers of one server as a layer: one for each kind of operation.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use agentapi_crds::tenant_config::BreakerConfig;
use futures::future::{BoxFuture, FutureExt, ready};
use futures::{StreamExt, stream};
use tower::{Layer, Service};

use super::breaker::{Breaker, Change, NotNow, Passed, Verdict};
use super::operation::Operation;
use super::stack::Attempt;
use crate::telemetry::Metrics;
use crate::upstream::{Messages, Reply, UpstreamError};

/// The breakers of one server.
#[derive(Debug)]
pub(super) struct Breakers {
    each: [Breaker; Operation::ALL.len()],
    metrics: Metrics,
}

impl Breakers {
    pub(super) fn new(config: BreakerConfig, metrics: Metrics) -> Self {
        Self {
            each: Operation::ALL.map(|_| Breaker::new(config)),
            metrics,
        }
    }

    /// The kinds of operations that the server is not asked for now.
    fn open(&self) -> impl Iterator<Item = Operation> {
        let all = Operation::ALL.into_iter();
        all.filter(|operation| !self.of(*operation).is_closed())
    }

    fn of(&self, operation: Operation) -> &Breaker {
        let [connect, list, call, read, disconnect] = &self.each;
        match operation {
            Operation::Connect => connect,
            Operation::List => list,
            Operation::Call => call,
            Operation::Read => read,
            Operation::Disconnect => disconnect,
        }
    }

    fn admit(self: &Arc<Self>, operation: Operation) -> Result<Pass, UpstreamError> {
        match self.of(operation).admit(Instant::now()) {
            Ok(passed) => Ok(Pass {
                breakers: self.clone(),
                operation,
                passed: Some(passed),
            }),
            Err(NotNow) => Err(UpstreamError::LeftAlone),
        }
    }

    fn settle(&self, operation: Operation, passed: Passed, verdict: Verdict) {
        let change = self.of(operation).settle(passed, verdict, Instant::now());
        match change {
            Change::None => {}
            Change::Opened => self.metrics.breaker_opened(operation.name()),
            Change::Reopened => self.metrics.breaker_reopened(operation.name()),
            Change::Closed => self.metrics.breaker_closed(operation.name()),
        }
    }
}

impl Drop for Breakers {
    fn drop(&mut self) {
        for operation in self.open() {
            self.metrics.breaker_closed(operation.name());
        }
    }
}

/// An operation that was let through and has not ended.
#[derive(Debug)]
pub(in crate::upstream) struct Pass {
    breakers: Arc<Breakers>,
    operation: Operation,
    passed: Option<Passed>,
}

impl Pass {
    fn succeeded(&mut self) {
        self.settle(Verdict::Success);
    }

    fn failed(&mut self, error: &UpstreamError) {
        self.settle(verdict(error));
    }

    fn settle(&mut self, verdict: Verdict) {
        if let Some(passed) = self.passed.take() {
            self.breakers.settle(self.operation, passed, verdict);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.settle(Verdict::Unknown);
    }
}

/// What an error says of the server.
fn verdict(error: &UpstreamError) -> Verdict {
    match error {
        UpstreamError::Unreachable(_)
        | UpstreamError::Timeout(_)
        | UpstreamError::Overdue(_)
        | UpstreamError::Invalid(_)
        | UpstreamError::Interrupted
        | UpstreamError::Start(_)
        | UpstreamError::Exited => Verdict::Failure,
        UpstreamError::Status(status) if status.is_server_error() => Verdict::Failure,
        // It answers, and says no.
        UpstreamError::Status(_)
        | UpstreamError::TooLarge(_)
        | UpstreamError::Unauthorized(_)
        | UpstreamError::SessionLost
        | UpstreamError::Revision(_)
        | UpstreamError::Handshake(_) => Verdict::Success,
        // It was not asked, or not waited for.
        UpstreamError::Refused(_)
        | UpstreamError::Cancelled
        | UpstreamError::LeftAlone
        | UpstreamError::Credential(_)
        | UpstreamError::NoToken(_)
        | UpstreamError::NoBridgeKey
        | UpstreamError::BridgeToken(_)
        | UpstreamError::IdInUse
        | UpstreamError::Store(_) => Verdict::Unknown,
    }
}

/// What an operation gives; it may show later than at once how it ended.
pub(in crate::upstream) trait Outcome: Sized + Send + 'static {
    /// The same, which settles the pass when it has ended.
    fn settling(self, pass: Pass) -> Self;
}

impl Outcome for Reply {
    fn settling(self, mut pass: Pass) -> Self {
        match self {
            Self::Message(text) => {
                pass.succeeded();
                Self::Message(text)
            }
            Self::Stream(messages) => Self::Stream(watched(messages, pass)),
        }
    }
}

impl Outcome for () {
    fn settling(self, mut pass: Pass) {
        pass.succeeded();
    }
}

impl<T: Send + 'static> Outcome for (T, String) {
    fn settling(self, mut pass: Pass) -> Self {
        pass.succeeded();
        self
    }
}

fn watched(messages: Messages, pass: Pass) -> Messages {
    let watched = stream::unfold((messages, pass), |(mut messages, mut pass)| async move {
        let next = messages.next().await;
        match &next {
            Some(Ok(_)) => {}
            Some(Err(error)) => pass.failed(error),
            None => pass.succeeded(),
        }
        Some((next?, (messages, pass)))
    });
    watched.boxed()
}

/// Puts breakers before a service.
#[derive(Clone, Debug)]
pub(super) struct GuardLayer(pub(super) Arc<Breakers>);

/// A service behind breakers.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct Guard<S> {
    inner: S,
    breakers: Arc<Breakers>,
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            breakers: self.0.clone(),
        }
    }
}

impl<S> Guard<S> {
    /// The kinds of operations that do not pass now.
    pub(in crate::upstream) fn left_alone(&self) -> impl Iterator<Item = Operation> {
        self.breakers.open()
    }
}

impl<S, T> Service<Attempt<T>> for Guard<S>
where
    S: Service<Attempt<T>, Response = T, Error = UpstreamError>,
    S::Future: Send + 'static,
    T: Outcome,
{
    type Response = T;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Result<T, UpstreamError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, attempt: Attempt<T>) -> Self::Future {
        let mut pass = match self.breakers.admit(attempt.operation) {
            Ok(pass) => pass,
            Err(error) => return ready(Err(error)).boxed(),
        };
        let performed = self.inner.call(attempt);
        async move {
            match performed.await {
                Ok(outcome) => Ok(outcome.settling(pass)),
                Err(error) => {
                    pass.failed(&error);
                    Err(error)
                }
            }
        }
        .boxed()
    }
}
