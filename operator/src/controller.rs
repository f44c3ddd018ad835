//! Runs the reconciliations of one kind: one at a time for each resource,
//! debounced, with growing pauses after failures.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::ready;
use kube::ResourceExt;
use kube_runtime::controller::{Action, Config, Error, applier};
use kube_runtime::reflector::{Lookup, ObjectRef};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::apply::{Own, WriteError, title_of};
use crate::context::Context;
use crate::watch::{Cache, Queue, Requests};

/// Changes that come this close together are looked at once.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Reconciliations of one kind under way at one time.
const CONCURRENCY: u16 = 16;

/// Reconciles what is asked for until `shutdown`, then finishes what is under way.
pub(crate) async fn run<K, F>(
    kind: &'static str,
    cache: Cache<K>,
    requests: Requests<K>,
    context: Arc<Context>,
    reconcile: impl Fn(Arc<K>, Arc<Context>) -> F + Copy + Send + 'static,
    shutdown: CancellationToken,
) where
    K: Own + Lookup<DynamicType = ()>,
    F: Future<Output = Result<Action, WriteError>> + Send,
{
    let Requests { queue, receiver } = requests;
    let references = UnboundedReceiverStream::new(receiver)
        .map(Ok::<_, Infallible>)
        .take_until(shutdown.cancelled_owned());
    let present = cache.clone();
    let taken = queue.clone();
    let observed = move |resource: Arc<K>, context: Arc<Context>| {
        // What changed after the resource was taken out of the queue is asked
        // for anew, so the resource is read after that.
        taken.take(&ObjectRef::from_obj(resource.as_ref()));
        let namespace = resource.namespace();
        let latest = present.get(namespace.as_deref(), &resource.name_any());
        let resource = latest.unwrap_or(resource);
        Box::pin(async move {
            let started = Instant::now();
            let result = reconcile(resource.clone(), context.clone()).await;
            match &result {
                Ok(_) => {
                    context.metrics.reconciled(kind, "ok", started.elapsed());
                    context.failures.clear(&resource.title());
                }
                Err(error) => {
                    context.metrics.reconciled(kind, "error", started.elapsed());
                    context.metrics.failed(kind, error.class());
                }
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
    let store = cache.store();
    let failures = context.clone();
    applier(observed, retry, context, store, references, config)
        .for_each(|result| {
            match result {
                Ok((resource, _)) => tracing::debug!(%resource, "reconciled"),
                // Deleted between the event and now.
                Err(Error::ObjectNotFound(reference)) => {
                    gone(&reference, &cache, &queue, &failures);
                }
                // Told by `retry`.
                Err(Error::ReconcilerFailed(..)) => {}
                Err(error) => tracing::error!(kind, %error, "the controller failed"),
            }
            ready(())
        })
        .await;
}

/// Forgets a resource that is gone, unless it came back meanwhile.
fn gone<K>(
    reference: &ObjectRef<kube::core::DynamicObject>,
    cache: &Cache<K>,
    queue: &Queue<K>,
    context: &Context,
) where
    K: Own + Lookup<DynamicType = ()>,
{
    let namespace = reference.namespace.as_deref();
    let mut own = ObjectRef::<K>::new(&reference.name);
    own.namespace = reference.namespace.clone();
    queue.take(&own);
    if cache.get(namespace, &reference.name).is_some() {
        queue.add(own);
    } else {
        let title = title_of::<K>(namespace, &reference.name);
        context.failures.clear(&title);
        context.writer.forget_status(&title);
    }
}
