//! `/openapi.json` against what the gateway does: schemathesis (PyPI) makes requests
//! from the document and compares the answers with it. No answer may be a 500, and
//! none may have a status, a media type or a body that is not described.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agentapi_e2e::issuer::Issuer;
use agentapi_e2e::program::{Program, built, setting};
use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;

const ORGANIZATION: &str = "contract";
/// Seconds in which new requests are made.
const BUDGET: u32 = 45;
/// Longest run, with what is on its way when the budget is spent.
const LIMIT: Duration = Duration::from_secs(180);
/// The same requests in every run.
const SEED: u32 = 20_261_128;
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

#[tokio::test]
async fn what_the_gateway_answers_is_in_its_document() -> Result<()> {
    let agentapi = built("agentapi")?;
    let clock = ["sample", "clock", "--listen", "127.0.0.1:0"];
    let clock = Program::start(&agentapi, &clock, &[]).await?;
    let issuer = Issuer::new("https://issuer.test")?;
    let folder = TempDir::new()?;
    fs::write(
        folder.path().join("manifests.yaml"),
        manifests(&issuer, &clock.address),
    )?;
    let manifests = folder.path().display().to_string();
    let dev = ["dev", "--manifests", &manifests, "--listen", "127.0.0.1:0"];
    let gateway = Program::start(&agentapi, &dev, &[]).await?;
    let roles = ["user", "admin", "auditor"];
    let token = issuer.token(ORGANIZATION, "alice", &roles)?;

    let asked = Command::new(schemathesis()?)
        .arg("--config-file")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/peers/python/schemathesis.toml"
        ))
        .args(["run", &format!("{}/openapi.json", gateway.address)])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", CHECKS, "--phases", "examples,fuzzing"])
        .args(["--max-time", &BUDGET.to_string()])
        .args(["--seed", &SEED.to_string(), "--workers", "1"])
        .args(["--continue-on-failure", "--warnings", "off", "--no-color"])
        .current_dir(folder.path())
        .kill_on_drop(true)
        .output();
    let asked = tokio::time::timeout(LIMIT, asked);
    let output = asked.await.context("schemathesis did not end")??;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "an answer is not as docs/openapi.json says:\n{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(told.contains("generated"), "nothing was asked:\n{told}");
    Ok(())
}

/// The program of the Python environment.
fn schemathesis() -> Result<PathBuf> {
    let python = setting("AGENTAPI_TEST_PYTHON")?;
    Ok(Path::new(&python).with_file_name("schemathesis"))
}

/// An organization with one server, in which nobody is limited.
fn manifests(issuer: &Issuer, clock: &str) -> String {
    format!(
        r#"
apiVersion: agentapi.dev/v1alpha1
kind: Organization
metadata: {{name: {ORGANIZATION}}}
spec:
  displayName: Contract
  identity: {{issuers: [{{issuer: "{}", jwks: '{}', audiences: [agentapi]}}]}}
  network: {{egress: [{{cidr: 127.0.0.0/8}}]}}
  rateLimits: {{requestsPerMinute: 60000, burst: 1000}}
---
apiVersion: agentapi.dev/v1alpha1
kind: McpServer
metadata: {{name: clock, namespace: org-{ORGANIZATION}}}
spec: {{remote: {{url: "{clock}"}}}}
"#,
        issuer.url,
        issuer.key_set(),
    )
}
