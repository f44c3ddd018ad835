//! The end of an organization's sessions in this process.

use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use tokio::time::timeout;

use super::Mcp;
use crate::store::TenantId;
use crate::upstream::Connection;

/// How long a server may take to end one session.
const PATIENCE: Duration = Duration::from_secs(5);
/// Upstream sessions that are ended at one time.
const CONCURRENCY: usize = 32;

impl Mcp {
    /// Ends the upstream sessions that this process has open for a tenant, and
    /// forgets its sessions and lists. A server that does not answer keeps nobody waiting for long.
    pub async fn end_all(&self, tenant: TenantId) {
        let connections = self.live.take_all(tenant).await;
        stream::iter(connections)
            .for_each_concurrent(CONCURRENCY, |connection| async move {
                end(&connection).await;
            })
            .await;
        self.lists.forget(tenant);
    }
}

async fn end(connection: &Connection) {
    let server = connection.server().name();
    match timeout(PATIENCE, connection.end()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::info!(server, %error, "an upstream session was not ended"),
        Err(_) => tracing::info!(server, "an upstream session was not ended in time"),
    }
}
