//! `PUT /internal/v1/organizations/{organization}/retirement`: nothing of a
//! deleted organization is left in this replica.

use std::time::Duration;

use agentapi_crds::internal_api::{Retired, Retirement};
use axum::Json;
use axum::extract::{Path, State};
use tokio::time::timeout;

use super::Internal;
use super::refusal::Refusal;
use crate::store::TenantId;

/// How long the end of service is waited for before the operator is told to ask again.
const PATIENCE: Duration = Duration::from_secs(3);

/// Acknowledges that an organization is served no longer, that its upstream
/// sessions are closed, its tokens and lists forgotten, its sessions ended and its API keys
/// revoked.
pub(super) async fn retire(
    State(internal): State<Internal>,
    Path(organization): Path<String>,
    Json(retirement): Json<Retirement>,
) -> Result<Json<Retired>, Refusal> {
    let tenant = TenantId(retirement.tenant_id);
    timeout(PATIENCE, out_of_service(&internal, &organization, tenant))
        .await
        .map_err(|_| Refusal::StillServed)?;
    let ended_sessions = if internal.tenants.serves(tenant) {
        // A restored organization has the id now, under another name: its sessions are not the deleted one's.
        0
    } else {
        internal.store.retire(tenant).await?
    };
    tracing::info!(organization, tenant = %tenant.0, ended_sessions, "organization is retired");
    Ok(Json(Retired { ended_sessions }))
}

/// Returns when the organization is not served and no session of it is being ended.
async fn out_of_service(internal: &Internal, organization: &str, tenant: TenantId) {
    let mut latest = internal.reports.latest();
    let is_served = || {
        let found = internal.tenants.get(organization);
        found.is_some_and(|found| found.id == tenant)
    };
    while is_served() {
        if latest.changed().await.is_err() {
            return;
        }
    }
    internal.removals.ended(tenant).await;
}
