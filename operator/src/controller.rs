//! Runs the reconciliations of one kind: one at a time for each resource,
//! debounced, with growing pauses after failures.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube_runtime::controller::{Action, Config, Error, applier};
use kube_runtime::reflector::{Lookup, ObjectRef, Store};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::apply::{Own, WriteError};
use crate::context::Context;

/// Changes that come this close together are looked at once.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Reconciliations of one kind under way at one time.
const CONCURRENCY: u16 = 16;

/// Reconciles what the queue names until `shutdown`, then finishes what is under way.
pub(crate) async fn run<K, F>(
    kind: &'static str,
    store: Store<K>,
    queue: UnboundedReceiver<ObjectRef<K>>,
    context: Arc<Context>,
    reconcile: impl Fn(Arc<K>, Arc<Context>) -> F + Copy + Send + 'static,
    shutdown: CancellationToken,
) where
    K: Own + Lookup<DynamicType = ()>,
    F: Future<Output = Result<Action, WriteError>> + Send,
{
    let requests = UnboundedReceiverStream::new(queue)
        .map(Ok::<_, Infallible>)
        .take_until(shutdown.cancelled_owned());
    let observed = move |resource: Arc<K>, context: Arc<Context>| {
        Box::pin(async move {
            let started = Instant::now();
            let result = reconcile(resource.clone(), context.clone()).await;
            let outcome = if result.is_ok() { "ok" } else { "error" };
            context.metrics.reconciled(kind, outcome, started.elapsed());
            if result.is_ok() {
                context.failures.clear(&resource.title());
            }
            result
        })
    };
    let retry = |resource: Arc<K>, error: &WriteError, context: Arc<Context>| {
        let pause = context.failures.pause_after(&resource.title());
        tracing::warn!(resource = resource.title(), %error, ?pause, "not reconciled, trying again");
        Action::requeue(pause)
    };
    let config = Config::default()
        .debounce(DEBOUNCE)
        .concurrency(CONCURRENCY);
    applier(observed, retry, context, store, requests, config)
        .for_each(|result| async move {
            match result {
                Ok((resource, _)) => tracing::debug!(%resource, "reconciled"),
                // Deleted between the event and now; failures were told by `retry`.
                Err(Error::ObjectNotFound(_) | Error::ReconcilerFailed(..)) => {}
                Err(error) => tracing::error!(kind, %error, "the controller failed"),
            }
        })
        .await;
}
