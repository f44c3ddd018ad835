//! The black-box suite of the HTTP surface against the embedded mode. The same
//! suite runs against the cluster; both must produce the same transcript.

use std::fs;
use std::path::Path;

use agentapi_e2e::blackbox::{Suite, setting};
use agentapi_e2e::issuer::Issuer;
use agentapi_e2e::program::Program;
use anyhow::{Context, Result};
use tempfile::TempDir;

#[tokio::test]
async fn the_embedded_mode_answers_as_the_committed_transcript_says() -> Result<()> {
    let agentapi = Path::new(env!("CARGO_BIN_EXE_agentapi"));
    let clock = Program::start(
        agentapi,
        &["sample", "clock", "--listen", "127.0.0.1:0"],
        &[],
    )
    .await?;
    let issuer = Issuer::new("https://issuer.test")?;
    let folder = TempDir::new()?;
    fs::write(
        folder.path().join("manifests.yaml"),
        setting::manifests(&issuer, &clock.address),
    )?;
    let manifests = folder
        .path()
        .to_str()
        .context("the temporary folder is not UTF-8")?;

    let dev = Program::start(
        agentapi,
        &["dev", "--manifests", manifests, "--listen", "127.0.0.1:0"],
        &[],
    )
    .await?;

    setting::expect_transcript(
        &Suite::new(&dev.address, &issuer, &clock.address)?
            .run()
            .await?,
    )
}
