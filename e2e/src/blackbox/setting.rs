//! The manifests that the suite expects to be in force, and the transcript it must produce.

use anyhow::{Context, Result, bail};

/// The organization that most requests are made in.
pub const FIRST: &str = "blackbox-first";
/// The organization whose users must see nothing of the first.
pub const SECOND: &str = "blackbox-second";

const MANIFESTS: &str = include_str!("../../blackbox/manifests.yaml");
/// The platform's own policies are in force for every organization, so the suite brings the samples' ones.
const GLOBAL_PROMPTS: &str = include_str!("../../../config/samples/platform-prompts.yaml");

/// The manifests, with the addresses and the key set of this run.
pub fn manifests(issuer: &crate::issuer::Issuer, clock: &str) -> String {
    let own = MANIFESTS
        .replace("${ISSUER}", &issuer.url)
        .replace("${KEY_SET}", &issuer.key_set())
        .replace("${CLOCK}", clock);
    format!(
        "{own}---
{GLOBAL_PROMPTS}"
    )
}

/// What every installation must answer.
const TRANSCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/blackbox/transcript.md");

/// Fails unless `found` is the committed transcript, which is the same for all
/// installations. With `AGENTAPI_UPDATE_TRANSCRIPT=1` it is written instead: review it with git.
pub fn expect_transcript(found: &str) -> Result<()> {
    if std::env::var_os("AGENTAPI_UPDATE_TRANSCRIPT").is_some() {
        return std::fs::write(TRANSCRIPT, found).context("the transcript cannot be written");
    }
    let expected =
        std::fs::read_to_string(TRANSCRIPT).context("the committed transcript cannot be read")?;
    if expected == found {
        return Ok(());
    }
    let differing = expected
        .lines()
        .zip(found.lines())
        .position(|(expected, found)| expected != found);
    let line = differing.unwrap_or_else(|| expected.lines().count().min(found.lines().count()));
    let around = |text: &str| {
        text.lines()
            .skip(line.saturating_sub(12))
            .take(16)
            .collect::<Vec<_>>()
            .join("\n")
    };
    bail!(
        "the transcript differs from {TRANSCRIPT} at line {}:\n--- expected\n{}\n--- found\n{}",
        line + 1,
        around(&expected),
        around(found)
    )
}
