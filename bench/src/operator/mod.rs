//! The operator with many organizations: speed, writes, memory, idleness.

mod baseline;
mod change;
mod churn;
mod clients;
mod exact;
mod fresh;
mod process;
mod ready;
mod scene;
mod writes;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use self::baseline::Baseline;
use self::clients::client;
use self::fresh::Fresh;
use self::process::Operator;
use self::ready::Ready;
use self::writes::Mark;
use crate::arguments::{BaselineOptions, OperatorOptions};
use crate::report::{Bar, Report, write_json};
use crate::usage::Usage;

/// At least this part of the plain client's speed.
const SPEED: f64 = 0.7;
/// Most memory for one watched object.
const KIB_PER_OBJECT: f64 = 10.0;
/// Longest time until a change is in the document.
const CHANGE_SECONDS: f64 = 1.0;
/// Most that is left behind by churn, as a part of what was there before.
const LEFT_BEHIND: f64 = 1.02;
/// Organizations whose memory the slope starts at.
const FEW: usize = 200;

/// Measures the plain client.
///
/// # Errors
/// When the API server refuses or fails something.
pub(crate) async fn baseline(options: &BaselineOptions) -> Result<()> {
    baseline::run(options).await
}

/// Measures the operator against the plain client's result, and prints a table.
///
/// # Errors
/// When something cannot be measured. A bar that is missed is no error: it is
/// in the table and in the JSON.
pub(crate) async fn measure(options: &OperatorOptions) -> Result<()> {
    let baseline = baseline::read(&options.baseline)?;
    let engineer = client(&options.cluster.kubeconfig).await?;
    let mut report = Report::default();
    let ready = Ready::watch(&engineer);
    let operator = Operator::start(options).await?;

    // 1. from nothing
    let few = FEW.min(options.cluster.organizations / 2);
    let mut fresh = Fresh::new(options, &engineer, &ready, &operator);
    fresh.create(0..few).await?;
    let usage_of_few = settled(&operator).await?;
    fresh.create(few..options.cluster.organizations).await?;
    let usage_of_all = settled(&operator).await?;
    fresh.report(&baseline, &mut report)?;
    slope(
        usage_of_few,
        usage_of_all,
        options.cluster.organizations - few,
        &baseline,
        &mut report,
    );

    // 2. one change
    change::measure(&engineer, options.cluster.organizations, &mut report).await?;

    // 3. no write too many
    exact::measure(
        options,
        &engineer,
        &ready,
        &operator,
        &baseline,
        &mut report,
    )
    .await?;

    // 4. idle
    operator.quiet(0).await?;
    let mark = Mark::now(&options.audit_log)?;
    tokio::time::sleep(Duration::from_secs(options.idle)).await;
    let name = format!("mutating calls in {} s of idleness", options.idle);
    none(&name, &mark.writes()?, &mut report);

    // 5. restart
    operator.stop().await?;
    let mark = Mark::now(&options.audit_log)?;
    let operator = Operator::start(options).await?;
    operator
        .quiet(options.cluster.organizations * scene::INPUTS)
        .await?;
    none("writes after a restart", &mark.writes()?, &mut report);

    // 6. churn
    churn::measure(options, &engineer, &operator, &mut report).await?;
    operator.stop().await?;

    println!("{}", report.table());
    write_json(&options.cluster.output, &report)?;
    if !report.holds() {
        println!("not every bar holds");
    }
    Ok(())
}

/// What the operator uses once it has nothing to do.
async fn settled(operator: &Operator) -> Result<Usage> {
    operator.quiet(0).await?;
    Usage::of(operator.id()?)
}

fn slope(few: Usage, all: Usage, organizations: usize, baseline: &Baseline, report: &mut Report) {
    let watched = baseline.objects + scene::INPUTS;
    let slope = (all.anonymous_kib - few.anonymous_kib) / (organizations * watched) as f64;
    report.add(
        "operator's memory for each further watched object",
        slope,
        "KiB",
        Bar::AtMost(KIB_PER_OBJECT),
    );
    let mib = all.anonymous_kib / 1024.0;
    report.add(
        "operator's memory with all organizations",
        mib,
        "MiB",
        Bar::None,
    );
}

fn none(name: &str, writes: &BTreeMap<String, usize>, report: &mut Report) {
    let count: usize = writes.values().sum();
    report.add(name, count as f64, "", Bar::AtMost(0.0));
    for (write, count) in writes {
        report.add(
            &format!("  of these: {write}"),
            *count as f64,
            "",
            Bar::None,
        );
    }
}
