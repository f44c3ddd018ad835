//! Organizations that were taken out of service and whose sessions are still being ended.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::Tenant;
use crate::store::TenantId;

/// Hands organizations that were taken out of service to whoever ends their
/// sessions, and knows which are not ended yet. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Removals {
    queue: mpsc::UnboundedSender<Arc<Tenant>>,
    /// How often each tenant waits in the queue or is being ended.
    open: watch::Sender<HashMap<TenantId, usize>>,
}

impl Removals {
    /// The removals of a process, and where they arrive.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Arc<Tenant>>) {
        let (queue, arrivals) = mpsc::unbounded_channel();
        let open = watch::Sender::default();
        (Self { queue, open }, arrivals)
    }

    /// Takes an organization out of service by `take_out`, then has its sessions
    /// ended. Nobody sees it out of service before its sessions are known to be open.
    pub(super) fn begin(&self, tenant: Arc<Tenant>, take_out: impl FnOnce()) {
        let id = tenant.id;
        self.open
            .send_modify(|open| *open.entry(id).or_default() += 1);
        take_out();
        if self.queue.send(tenant).is_err() {
            // Nobody serves sessions yet, or any more.
            self.end(id);
        }
    }

    /// The sessions of one removal are ended.
    pub fn end(&self, tenant: TenantId) {
        self.open.send_modify(|open| {
            if let Some(count) = open.get_mut(&tenant) {
                *count -= 1;
                if *count == 0 {
                    open.remove(&tenant);
                }
            }
        });
    }

    /// Waits until no session of the tenant is being ended any more.
    pub async fn ended(&self, tenant: TenantId) {
        let mut open = self.open.subscribe();
        // The sender is `self`: it is there for as long as this waits.
        let _ = open.wait_for(|open| !open.contains_key(&tenant)).await;
    }
}
