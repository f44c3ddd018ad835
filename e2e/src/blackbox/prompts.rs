//! The composed prompt.

use anyhow::{Result, ensure};
use http::{Method, StatusCode};
use serde_json::json;

use super::{ALICE, MALLORY, Suite, expect_status};

pub(super) async fn run(suite: &mut Suite<'_>) -> Result<()> {
    let step = "Alice's composed prompt";
    let answer = suite
        .call(
            step,
            ALICE,
            Method::POST,
            "/v1/prompts/preview",
            Some(json!({})),
        )
        .await?;
    expect_status(step, &answer, StatusCode::OK)?;
    let text = answer.json()?["text"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    ensure!(
        text.contains("alice"),
        "{step}: the template's variables are not filled in: {text}"
    );

    let step = "Mallory's composed prompt";
    let answer = suite
        .call(
            step,
            MALLORY,
            Method::POST,
            "/v1/prompts/preview",
            Some(json!({})),
        )
        .await?;
    expect_status(step, &answer, StatusCode::OK)?;
    let text = answer.json()?["text"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    ensure!(
        !text.contains("politely"),
        "{step}: another organization's policy applies: {text}"
    );
    Ok(())
}
