//! `GET /internal/v1/reports`: what is served and what was refused.

use std::time::Duration;

use agentapi_crds::internal_api::{LONGEST_WAIT_SECONDS, ReportPage};
use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;
use tokio::time::timeout;
use uuid::Uuid;

use super::Internal;
use super::refusal::Refusal;

/// Organizations on one page.
const PAGE: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    instance: Option<Uuid>,
    after: Option<u64>,
    #[serde(default)]
    wait_seconds: u64,
}

/// News since the last page; waits for them if there are none.
pub(super) async fn news(
    State(internal): State<Internal>,
    Query(asked): Query<Asked>,
) -> Result<Json<ReportPage>, Refusal> {
    if internal.stopping.is_cancelled() {
        return Err(Refusal::Stopping);
    }
    let known = asked.instance.zip(asked.after);
    let mut latest = internal.reports.latest();
    let mut synced = internal.synced.clone();
    // Marked as seen before the page is made: what changes meanwhile ends the wait at once.
    latest.mark_unchanged();
    synced.mark_unchanged();
    let page = page(&internal, known);
    if page.full || page.more || !page.organizations.is_empty() {
        return Ok(Json(page));
    }
    let wait = Duration::from_secs(asked.wait_seconds.min(LONGEST_WAIT_SECONDS));
    let something = async {
        tokio::select! {
            _ = latest.changed() => {}
            _ = synced.changed() => {}
            () = internal.stopping.cancelled() => {}
        }
    };
    // Whether or not something happened, the page says how things are.
    let _ = timeout(wait, something).await;
    Ok(Json(self::page(&internal, known)))
}

fn page(internal: &Internal, known: Option<(Uuid, u64)>) -> ReportPage {
    // Before the reports: whoever is told `true` has been told all of them.
    let synced = *internal.synced.borrow();
    ReportPage {
        synced,
        ..internal.reports.page(known, PAGE)
    }
}
