//! Agent sessions, and that nobody else can tell whether they exist.

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use serde_json::json;

use super::{ALICE, BOB, MALLORY, Suite, expect_status, without_request_id};

/// Leaves one session of Alice's open and returns its path.
pub(super) async fn run(suite: &mut Suite<'_>) -> Result<String> {
    let step = "Alice has no session yet";
    let answer = suite
        .call(step, ALICE, Method::GET, "/v1/sessions", None)
        .await?;
    expect_status(step, &answer, StatusCode::OK)?;

    let step = "Alice creates a session";
    let new = json!({ "workspace": "atelier", "metadata": { "purpose": "black box" } });
    let answer = suite
        .call(step, ALICE, Method::POST, "/v1/sessions", Some(new))
        .await?;
    expect_status(step, &answer, StatusCode::CREATED)?;
    let created = answer.json()?;
    let id = created["id"]
        .as_str()
        .context("a created session has no id")?;
    let session = format!("/v1/sessions/{id}");

    let step = "Alice reads her session";
    let answer = suite.call(step, ALICE, Method::GET, &session, None).await?;
    expect_status(step, &answer, StatusCode::OK)?;
    ensure!(
        answer.json()? == created,
        "a session reads back differently than it was created: {}",
        answer.json()?
    );

    let unknown = "/v1/sessions/01890000-0000-7000-8000-000000000000";
    let reference = suite
        .call(
            "Alice reads an unknown session",
            ALICE,
            Method::GET,
            unknown,
            None,
        )
        .await?;
    expect_status("unknown session", &reference, StatusCode::NOT_FOUND)?;
    for (step, who) in [
        ("Bob reads Alice's session", BOB),
        ("Mallory reads a session of another organization", MALLORY),
    ] {
        let answer = suite.call(step, who, Method::GET, &session, None).await?;
        ensure!(
            answer.status == reference.status,
            "{step}: status {} tells that it exists",
            answer.status
        );
        let (found, unknown) = (
            without_request_id(&answer)?,
            without_request_id(&reference)?,
        );
        ensure!(
            found == unknown,
            "{step}: the body tells that it exists: {found} instead of {unknown}"
        );
    }

    let step = "Alice changes the metadata";
    let change = json!({ "metadata": { "purpose": "changed" } });
    let answer = suite
        .call(step, ALICE, Method::PATCH, &session, Some(change))
        .await?;
    expect_status(step, &answer, StatusCode::OK)?;
    ensure!(
        answer.json()?["metadata"]["purpose"] == "changed",
        "{step}: the old metadata came back"
    );

    bad_input(suite).await?;
    Ok(session)
}

async fn bad_input(suite: &mut Suite<'_>) -> Result<()> {
    let step = "a session with an unknown field";
    let answer = suite
        .call(
            step,
            ALICE,
            Method::POST,
            "/v1/sessions",
            Some(json!({ "workspaze": "w" })),
        )
        .await?;
    expect_status(step, &answer, StatusCode::BAD_REQUEST)?;

    let step = "a session id that is none";
    let answer = suite
        .call(step, ALICE, Method::GET, "/v1/sessions/not-a-uuid", None)
        .await?;
    expect_status(step, &answer, StatusCode::NOT_FOUND)?;

    let step = "a body over the limit";
    let large = json!({ "metadata": { "x": "x".repeat(5 << 20) } });
    let answer = suite
        .call(step, ALICE, Method::POST, "/v1/sessions", Some(large))
        .await?;
    expect_status(step, &answer, StatusCode::PAYLOAD_TOO_LARGE)?;

    let step = "an unknown path";
    let answer = suite
        .call(step, ALICE, Method::GET, "/v1/nothing-here", None)
        .await?;
    expect_status(step, &answer, StatusCode::NOT_FOUND)?;

    let step = "a method that the path does not have";
    let answer = suite
        .call(step, ALICE, Method::PUT, "/v1/sessions", Some(json!({})))
        .await?;
    expect_status(step, &answer, StatusCode::METHOD_NOT_ALLOWED)
}

/// Ends the session and sees that it is gone.
pub(super) async fn end(suite: &mut Suite<'_>, session: &str) -> Result<()> {
    let step = "Mallory ends Alice's session";
    let answer = suite
        .call(step, MALLORY, Method::DELETE, session, None)
        .await?;
    expect_status(step, &answer, StatusCode::NOT_FOUND)?;

    let step = "Alice ends her session";
    let answer = suite
        .call(step, ALICE, Method::DELETE, session, None)
        .await?;
    expect_status(step, &answer, StatusCode::NO_CONTENT)?;

    let step = "an ended session is gone";
    let answer = suite.call(step, ALICE, Method::GET, session, None).await?;
    expect_status(step, &answer, StatusCode::NOT_FOUND)
}
