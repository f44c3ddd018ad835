//! The table at the end.

use std::time::Duration;

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};

use super::libtest::Counts;
use super::suites::Group;
use crate::progress::seconds;

/// One group's line.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) group: Group,
    pub(super) what: &'static str,
    /// The error says why the group could not run.
    pub(super) result: Result<Counts>,
    pub(super) time: Duration,
}

pub(super) fn render(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["group", "what", "passed", "failed", "time"]);
    for row in rows {
        let (passed, failed) = match &row.result {
            Ok(counts) => (counts.passed.to_string(), counts.failed.to_string()),
            Err(_) => ("–".to_owned(), "could not run".to_owned()),
        };
        table.add_row([
            row.group.to_string(),
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
            group: Group::Tier(2),
            what: "contract",
            result: Err(anyhow::anyhow!("no database")),
            time: Duration::from_secs(1),
        };
        assert!(render(&[row]).contains("could not run"));
    }
}
