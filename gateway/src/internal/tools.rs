//! `GET /internal/v1/organizations/{organization}/servers/{server}/tools`: what a server offers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentapi_crds::internal_api::{DiscoveredTools, LONGEST_TOOL_NAME, MOST_DIGESTS};
use axum::Json;
use axum::extract::{Path, State};
use tokio::time::timeout;

use super::Internal;
use super::refusal::Refusal;
use crate::domain::mcp::tool_digest;
use crate::upstream::{Inspection, Operation, Principal, UpstreamError, inspect};

/// How long asking one server may take in all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks a server for its tools, in a session that ends with the answer.
pub(super) async fn discover(
    State(internal): State<Internal>,
    Path((organization, server)): Path<(String, String)>,
) -> Result<Json<DiscoveredTools>, Refusal> {
    let tenant = internal.tenants.get(&organization);
    let tenant = tenant.ok_or(Refusal::NotServed)?;
    let server = tenant.servers.get(&server).cloned();
    let server = server.ok_or(Refusal::NotServed)?;
    let principal = Arc::new(Principal {
        tenant: tenant.id,
        user: None,
    });
    let _permit = internal
        .discoveries
        .acquire()
        .await
        .map_err(|_| Refusal::Stopping)?;
    let started = Instant::now();
    let found = timeout(PATIENCE, inspect(&server, &principal)).await;
    let found = found.unwrap_or(Err(UpstreamError::Timeout(PATIENCE)));
    let outcome = found.as_ref().err().map_or("success", UpstreamError::code);
    internal
        .metrics
        .upstream(Operation::List.name(), outcome, started.elapsed());
    Ok(Json(told(&found?)))
}

fn told(found: &Inspection) -> DiscoveredTools {
    let instructions = found.instructions.as_deref();
    let digest = |(name, tool): &(String, _)| (name.clone(), tool_digest(tool, instructions));
    let digests: BTreeMap<String, String> = found.tools.iter().map(digest).collect();
    let count = u32::try_from(digests.len()).unwrap_or(u32::MAX);
    let digests = digests
        .into_iter()
        .filter(|(name, _)| name.len() <= LONGEST_TOOL_NAME);
    DiscoveredTools {
        count,
        digests: digests.take(MOST_DIGESTS).collect(),
    }
}
