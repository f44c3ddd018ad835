//! How soon a change of one organization is in its document.

use std::time::{Duration, Instant};

use agentapi_crds::tenant_config::TenantConfig;
use agentapi_crds::{Organization, names};
use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::{CHANGE_SECONDS, scene};
use crate::report::{Bar, Report};

/// How many organizations are changed, one after the other.
const CHANGES: usize = 20;
const INTERVAL: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_secs(60);

/// Changes one field of some of the organizations, spread over all of them.
pub(super) async fn measure(
    client: &Client,
    organizations: usize,
    report: &mut Report,
) -> Result<()> {
    let mut seconds = Vec::new();
    for change in 0..CHANGES {
        seconds.push(one(client, change * organizations / CHANGES).await?);
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(CHANGES / 2).copied().unwrap_or_default();
    let longest = seconds.last().copied().unwrap_or_default();
    report.add(
        "one changed field until it is in the document, median",
        median,
        "s",
        Bar::None,
    );
    report.add(
        "one changed field until it is in the document, longest",
        longest,
        "s",
        Bar::AtMost(CHANGE_SECONDS),
    );
    Ok(())
}

async fn one(client: &Client, number: usize) -> Result<f64> {
    const REQUESTS_PER_MINUTE: u32 = 77;
    let name = scene::name(number);
    let patch = json!({"spec": {"rateLimits": {"requestsPerMinute": REQUESTS_PER_MINUTE}}});
    let started = Instant::now();
    Api::<Organization>::all(client.clone())
        .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    let documents: Api<ConfigMap> = Api::namespaced(client.clone(), names::TENANTS_NAMESPACE);
    loop {
        let map = documents.get(&names::tenant_config_map(&name)).await?;
        let text = map.data.unwrap_or_default();
        let text = text
            .get(names::TENANT_CONFIG_KEY)
            .context("the ConfigMap has no document")?;
        let document = TenantConfig::read(text)?;
        if document.rate_limits.per_user.requests_per_minute == REQUESTS_PER_MINUTE {
            return Ok(started.elapsed().as_secs_f64());
        }
        if started.elapsed() > LIMIT {
            bail!("the document of {name} has not changed within {LIMIT:?}");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
