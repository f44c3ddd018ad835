//! Ends the sessions of organizations that were taken out of service.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::auth::Authenticator;
use crate::mcp::Mcp;
use crate::tenants::{Removals, Tenant};

/// Ends what each arriving organization has open in this process, for as long
/// as it is polled. One whose servers are slow keeps no other waiting.
pub(crate) async fn close(
    mut arrivals: UnboundedReceiver<Arc<Tenant>>,
    removals: Removals,
    authenticator: Authenticator,
    mcp: Mcp,
) {
    while let Some(tenant) = arrivals.recv().await {
        let (removals, authenticator, mcp) = (removals.clone(), authenticator.clone(), mcp.clone());
        tokio::spawn(async move {
            let id = tenant.id;
            authenticator.forget(id);
            mcp.end_all(id).await;
            removals.end(id);
        });
    }
}
