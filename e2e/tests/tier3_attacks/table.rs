//! Every row of the table: the attack is denied by whom the row says, its
//! counterpart succeeds.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use agentapi_e2e::kubernetes_api::KubernetesApi;
use anyhow::{Result, ensure};
use http::Method;

use super::report::Report;
use super::row::{Attacker, Call, Row, tables};
use super::stage::Stage;

#[tokio::test]
async fn every_attack_is_denied_by_whom_the_table_says_and_its_counterpart_succeeds() -> Result<()>
{
    let stage = Stage::set().await?;
    let administrator = KubernetesApi::as_administrator().await?;
    let mut attackers: BTreeMap<Attacker, KubernetesApi> = BTreeMap::new();
    let mut report = Report::default();
    let mut failures = Vec::new();
    for table in tables()? {
        report.heading(table.heading);
        for row in &table.rows {
            let api = match attackers.entry(row.attacker) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(stage.api(row.attacker).await?),
            };
            if let Err(error) = judge(row, &stage, api, &administrator, report.rows()).await {
                failures.push(format!("{}: {error:#}", row.attack));
            }
            report.row(row);
        }
    }
    stage.clear().await?;
    println!("{}", report.text());
    ensure!(
        failures.is_empty(),
        "{} of {} rows failed:\n{}",
        failures.len(),
        report.rows(),
        failures.join("\n")
    );
    report.expect_committed()
}

async fn judge(
    row: &Row,
    stage: &Stage,
    api: &KubernetesApi,
    administrator: &KubernetesApi,
    number: usize,
) -> Result<()> {
    let names = stage.names(number);
    let attack = row.attack(&names)?;
    let answer = api
        .send(attack.method.clone(), &attack.path, attack.body.as_ref())
        .await?;
    row.denied
        .expect(&attack, &stage.user(row.attacker), &answer)?;

    let permitted = row.counterpart(&names)?;
    let answer = api
        .send(
            permitted.method.clone(),
            &permitted.path,
            permitted.body.as_ref(),
        )
        .await?;
    ensure!(
        answer.code.is_success(),
        "its counterpart was answered {}: {}",
        answer.code,
        answer.body
    );
    remove(&permitted, administrator).await
}

/// Takes away what a counterpart created, so that it counts against no later row's quota.
async fn remove(call: &Call, administrator: &KubernetesApi) -> Result<()> {
    let name = call
        .body
        .as_ref()
        .and_then(|body| body["metadata"]["name"].as_str());
    let (&Method::POST, Some(name)) = (&call.method, name) else {
        return Ok(());
    };
    let path = format!("{}/{name}?gracePeriodSeconds=0", call.path);
    administrator
        .send(Method::DELETE, &path, None)
        .await
        .map(drop)
}
