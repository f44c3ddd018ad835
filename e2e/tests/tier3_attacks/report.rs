//! The table as people read it. It is committed, so that a change of who denies
//! what is reviewed.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};

use super::row::{Attacker, Row};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ATTACKS.md");
const INTRODUCTION: &str = "# Attacks

What a tenant may try against the API server, and who denies it. This page is
written by the test that makes every one of these requests on a real API server
(`cargo xtask test --tier 3 every_attack`, rows in `e2e/tests/tier3_attacks/rows`).
A row passes when the API server's answer is 403 and names exactly this denier
and reason, and when what stands in the last column succeeds for the same user.

*over-privileged* holds all rights of RBAC (`system:masters`) without being in
the break-glass group: what a cluster's administrator who gave away too much
would have made of a tenant.
";

/// The rows so far.
#[derive(Default)]
pub(super) struct Report {
    text: String,
    rows: usize,
}

impl Report {
    pub(super) fn heading(&mut self, heading: &str) {
        let columns = "| attack | as | denied by | permitted |\n|---|---|---|---|";
        // Writing to a string does not fail.
        let _ = write!(self.text, "\n## {heading}\n\n{columns}\n");
    }

    pub(super) fn row(&mut self, row: &Row) {
        self.rows += 1;
        let attacker = match row.attacker {
            Attacker::Admin => "admin",
            Attacker::Viewer => "viewer",
            Attacker::Workload => "workload",
            Attacker::OverPrivileged => "over-privileged",
            Attacker::Operator => "operator",
            Attacker::Gateway => "gateway",
        };
        let _ = writeln!(
            self.text,
            "| {} | {attacker} | {} | {} |",
            row.attack,
            row.denied.by(),
            row.counterpart_for_people().replace('|', "\\|")
        );
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn text(&self) -> String {
        format!("{INTRODUCTION}{}", self.text)
    }

    /// Fails unless this is the committed page. With
    /// `AGENTAPI_UPDATE_TRANSCRIPT=1` it is written instead.
    pub(super) fn expect_committed(&self) -> Result<()> {
        if std::env::var_os("AGENTAPI_UPDATE_TRANSCRIPT").is_some() {
            return std::fs::write(COMMITTED, self.text()).context("docs/ATTACKS.md");
        }
        let committed = std::fs::read_to_string(COMMITTED).context("docs/ATTACKS.md")?;
        ensure!(
            committed == self.text(),
            "docs/ATTACKS.md is not what was found: write it anew with AGENTAPI_UPDATE_TRANSCRIPT=1 and review it"
        );
        Ok(())
    }
}
