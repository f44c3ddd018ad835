//! What is left behind by servers that come and go.

use std::time::{Duration, Instant};

use agentapi_crds::McpServer;
use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};

use super::process::Operator;
use super::{LEFT_BEHIND, scene};
use crate::arguments::OperatorOptions;
use crate::report::{Bar, Report};
use crate::usage::Usage;

const INTERVAL: Duration = Duration::from_millis(25);
const LIMIT: Duration = Duration::from_secs(60);
/// Longer than the 90 s that unused connections are kept for.
const REST: Duration = Duration::from_secs(100);
/// Part of the cycles after which memory is looked at first: allocators and
/// caches have grown to their size by then.
const WARM_UP: usize = 10;

/// Creates servers and deletes them when the operator has seen them.
pub(super) async fn measure(
    options: &OperatorOptions,
    client: &Client,
    operator: &Operator,
    report: &mut Report,
) -> Result<()> {
    let warm_up = options.churn / WARM_UP;
    cycle(options, client, warm_up).await?;
    let before = rested(operator).await?;
    let started = Instant::now();
    cycle(options, client, options.churn - warm_up).await?;
    let seconds = started.elapsed().as_secs_f64();
    let after = rested(operator).await?;
    report.add("churn cycles", options.churn as f64, "", Bar::None);
    report.add(
        "churn cycles in a second",
        (options.churn - warm_up) as f64 / seconds,
        "",
        Bar::None,
    );
    for (what, before, after) in [
        ("memory", before.anonymous_kib, after.anonymous_kib),
        ("descriptors", before.descriptors, after.descriptors),
        ("threads", before.threads, after.threads),
    ] {
        report.add(
            &format!("{what} after churn to before"),
            after / before,
            "×",
            Bar::AtMost(LEFT_BEHIND),
        );
    }
    Ok(())
}

/// What the operator uses once it has had nothing to do for long enough to
/// close the connections that it needed at most.
async fn rested(operator: &Operator) -> Result<Usage> {
    operator.quiet(0).await?;
    tokio::time::sleep(REST).await;
    Usage::of(operator.id()?)
}

async fn cycle(options: &OperatorOptions, client: &Client, cycles: usize) -> Result<()> {
    let organizations = options.cluster.organizations;
    futures::stream::iter(0..cycles)
        .map(|cycle| one(client, cycle, cycle % organizations))
        .buffer_unordered(options.cluster.concurrency)
        .try_for_each(|()| async { Ok(()) })
        .await
}

async fn one(client: &Client, cycle: usize, organization: usize) -> Result<()> {
    let namespace = scene::namespace(organization);
    let servers: Api<McpServer> = Api::namespaced(client.clone(), &namespace);
    let name = format!("churn-{cycle}");
    let server = scene::server(&namespace, &name)?;
    servers.create(&PostParams::default(), &server).await?;
    let started = Instant::now();
    while servers.get(&name).await?.status.is_none() {
        ensure!(
            started.elapsed() < LIMIT,
            "the operator has not seen {namespace}/{name} within {LIMIT:?}"
        );
        tokio::time::sleep(INTERVAL).await;
    }
    servers
        .delete(&name, &DeleteParams::default())
        .await
        .context("a server of the churn")?;
    Ok(())
}
