//! The table at the end.

use std::time::Duration;

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};

use super::libtest::Counts;
use crate::progress::seconds;

/// One tier's line.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) tier: u8,
    pub(super) what: &'static str,
    /// The error says why the tier could not run.
    pub(super) result: Result<Counts>,
    pub(super) time: Duration,
}

pub(super) fn render(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["tier", "what", "passed", "failed", "time"]);
    for row in rows {
        let (passed, failed) = match &row.result {
            Ok(counts) => (counts.passed.to_string(), counts.failed.to_string()),
            Err(_) => ("–".to_owned(), "could not run".to_owned()),
        };
        table.add_row([
            row.tier.to_string(),
            row.what.to_owned(),
            passed,
            failed,
            seconds(row.time),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_that_could_not_run_does_not_look_like_one_without_failures() {
        let row = Row {
            tier: 2,
            what: "contract",
            result: Err(anyhow::anyhow!("no database")),
            time: Duration::from_secs(1),
        };
        assert!(render(&[row]).contains("could not run"));
    }
}
