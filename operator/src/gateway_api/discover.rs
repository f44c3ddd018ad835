//! Has replicas ask servers for their tools: each server once, whenever it is due.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use kube_runtime::reflector::ObjectRef;
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use super::client::CallError;
use super::tools::{Due, Outcome};
use super::{Inner, Wake};

/// Servers that are asked at one time.
const CONCURRENCY: usize = 8;
/// Least pause between two looks at what is due.
const BREATH: Duration = Duration::from_millis(50);

/// Asks for as long as it is polled.
pub(super) async fn run(inner: Arc<Inner>, wake: Wake) {
    let mut asking = JoinSet::new();
    loop {
        let (due, pause) = inner.tools.due(CONCURRENCY - asking.len());
        for due in due {
            asking.spawn(look(inner.clone(), due, wake.clone()));
        }
        let is_full = asking.len() >= CONCURRENCY;
        tokio::select! {
            Some(_) = asking.join_next() => {}
            () = inner.tools.news.notified(), if !is_full => {}
            () = sleep(pause.max(BREATH)), if !is_full => {}
        }
    }
}

async fn look(inner: Arc<Inner>, due: Due, wake: Wake) {
    let (namespace, name) = &due.key;
    if wake.caches.servers.get(Some(namespace), name).is_none() {
        inner.tools.forget(&due.key);
        return;
    }
    match ask(&inner, &due.organization, name).await {
        Some(outcome) => {
            if inner.tools.asked(&due, outcome) {
                wake.servers.add(ObjectRef::new(name).within(namespace));
            }
        }
        None => inner.tools.put_off(&due),
    }
}

/// What a server offers, by any replica that serves it; nothing if none could say.
async fn ask(inner: &Inner, organization: &str, server: &str) -> Option<Outcome> {
    let serving = inner.seen().serving(organization);
    let first = serving.get(usize::from(Uuid::new_v4().as_bytes()[0]) % serving.len().max(1))?;
    let replica = inner.replicas.borrow().all.get(first).cloned()?;
    match inner.client.tools(&replica, organization, server).await {
        Ok(tools) => Some(Ok(tools)),
        Err(CallError::Refused { status, refusal }) if status == StatusCode::BAD_GATEWAY => {
            Some(Err(refusal.message))
        }
        Err(error) => {
            tracing::debug!(organization, server, %error, "a replica could not ask a server");
            None
        }
    }
}
