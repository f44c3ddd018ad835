//! The record of what the suite did.

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use serde_json::Value;

use super::{ADA, ALICE, MALLORY, Suite, expect_status};

pub(super) async fn run(suite: &mut Suite<'_>) -> Result<()> {
    let step = "Alice may not read the record";
    let answer = suite
        .call(step, ALICE, Method::GET, "/v1/audit", None)
        .await?;
    expect_status(step, &answer, StatusCode::FORBIDDEN)?;

    // An installation may have served an earlier run of this suite.
    let records = format!(
        "/v1/audit?action=tool.call&limit=200&since={}",
        suite.started
    );
    let step = "Ada reads the tool calls";
    let answer = suite.call(step, ADA, Method::GET, &records, None).await?;
    expect_status(step, &answer, StatusCode::OK)?;
    let found = answer.json()?["items"]
        .as_array()
        .cloned()
        .context("a list has items")?;
    let outcomes = |outcome: &str| {
        found
            .iter()
            .filter(|record| record["outcome"] == outcome)
            .count()
    };
    ensure!(
        outcomes("success") > 0,
        "{step}: no successful call is on the record"
    );
    ensure!(
        outcomes("intent") >= outcomes("success") + outcomes("failure"),
        "{step}: an outcome without an intent is on the record: {found:?}"
    );

    let step = "Mallory's organization has no tool calls";
    let answer = suite
        .call(
            step,
            MALLORY,
            Method::GET,
            "/v1/audit?action=tool.call",
            None,
        )
        .await?;
    expect_status(step, &answer, StatusCode::OK)?;
    ensure!(
        answer.json()?["items"] == Value::Array(vec![]),
        "{step}: another organization's records are shown"
    );

    let step = "Ada verifies the record";
    let answer = suite
        .call(step, ADA, Method::GET, "/v1/audit/verify", None)
        .await?;
    expect_status(step, &answer, StatusCode::OK)?;
    ensure!(
        answer.json()?["problems"] == Value::Array(vec![]),
        "{step}: the chain is broken: {}",
        answer.json()?
    );
    Ok(())
}
