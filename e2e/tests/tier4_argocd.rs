//! What Argo CD makes of the resources' conditions, by the health script of the docs.

use std::io::Write;
use std::process::{Command, Stdio};

use agentapi_e2e::program::setting;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/argocd/health.lua");
const RUNNER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/python/argocd_health.py");

/// Status and message that the script finds for an object.
fn health(object: &Value) -> Result<(String, String)> {
    let mut python = Command::new(setting("AGENTAPI_TEST_PYTHON")?)
        .args([RUNNER, SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("Python could not be started")?;
    let mut input = python.stdin.take().context("no standard input")?;
    input.write_all(object.to_string().as_bytes())?;
    drop(input);
    let output = python.wait_with_output()?;
    ensure!(output.status.success(), "the script failed for {object}");
    let found: Value = serde_json::from_slice(&output.stdout)?;
    let text = |name: &str| found[name].as_str().map(str::to_owned);
    Ok((
        text("status").context("no status")?,
        text("message").context("no message")?,
    ))
}

/// A resource of generation 2 with these conditions: type, status, reason.
fn resource(observed: u64, conditions: &[(&str, &str, &str)]) -> Value {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|(name, status, reason)| {
            json!({"type": name, "status": status, "reason": reason, "message": format!("{name}: {reason}")})
        })
        .collect();
    json!({
        "metadata": {"name": "acme", "generation": 2},
        "status": {"observedGeneration": observed, "conditions": conditions},
    })
}

fn expect(object: &Value, status: &str, message: &str) -> Result<()> {
    let found = health(object)?;
    ensure!(
        found == (status.to_owned(), message.to_owned()),
        "Argo CD would say {found:?} of {object}"
    );
    Ok(())
}

#[test]
fn a_ready_resource_is_healthy() -> Result<()> {
    let ready = resource(2, &[("Ready", "True", "Reconciled")]);
    expect(&ready, "Healthy", "Ready: Reconciled")
}

#[test]
fn a_stalled_resource_is_degraded_with_what_to_do() -> Result<()> {
    let conditions = [
        ("Ready", "False", "InvalidSpec"),
        ("Stalled", "True", "InvalidSpec"),
    ];
    expect(
        &resource(2, &conditions),
        "Degraded",
        "Stalled: InvalidSpec",
    )
}

#[test]
fn a_resource_under_way_is_progressing() -> Result<()> {
    let conditions = [
        ("Ready", "False", "Progressing"),
        ("Reconciling", "True", "Progressing"),
    ];
    expect(
        &resource(2, &conditions),
        "Progressing",
        "Reconciling: Progressing",
    )
}

#[test]
fn a_resource_that_is_off_or_paused_is_suspended() -> Result<()> {
    for reason in ["Suspended", "Disabled"] {
        let off = resource(2, &[("Ready", "False", reason)]);
        expect(&off, "Suspended", &format!("Ready: {reason}"))?;
    }
    let conditions = [
        ("Ready", "True", "Reconciled"),
        ("Reconciling", "True", "Paused"),
    ];
    expect(
        &resource(1, &conditions),
        "Suspended",
        "Reconciling: Paused",
    )
}

#[test]
fn an_old_status_says_nothing_about_a_new_spec() -> Result<()> {
    let old = resource(1, &[("Ready", "True", "Reconciled")]);
    expect(
        &old,
        "Progressing",
        "the operator has not seen the latest change yet",
    )
}

#[test]
fn a_resource_without_a_status_is_progressing() -> Result<()> {
    let unseen = json!({"metadata": {"name": "acme", "generation": 1}});
    expect(
        &unseen,
        "Progressing",
        "the operator has not looked at it yet",
    )
}

#[test]
fn what_blocks_a_deletion_is_told() -> Result<()> {
    let conditions = [
        ("Ready", "False", "Deleting"),
        ("DeletionBlocked", "True", "Deleting"),
    ];
    let mut deleted = resource(2, &conditions);
    deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    expect(&deleted, "Progressing", "DeletionBlocked: Deleting")
}
