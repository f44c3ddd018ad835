//! Measurements with their bars: a table for people, JSON for comparisons.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// What a measurement must keep to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Bar {
    /// At least this much.
    AtLeast(f64),
    /// At most this much.
    AtMost(f64),
    /// Only told, to explain the others.
    None,
}

impl Bar {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bar) => value >= bar,
            Self::AtMost(bar) => value <= bar,
            Self::None => true,
        }
    }

    fn for_people(self) -> String {
        match self {
            Self::AtLeast(bar) => format!("≥ {bar}"),
            Self::AtMost(bar) => format!("≤ {bar}"),
            Self::None => String::new(),
        }
    }
}

/// One measurement.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measurement {
    name: String,
    value: f64,
    unit: &'static str,
    bar: Bar,
    holds: bool,
}

/// All measurements of a run, in their order.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    measurements: Vec<Measurement>,
}

impl Report {
    /// Adds a measurement, and tells it at once: a run takes minutes.
    pub(crate) fn add(&mut self, name: &str, value: f64, unit: &'static str, bar: Bar) {
        eprintln!("  {name:<62} {value:>12.2} {unit}");
        self.measurements.push(Measurement {
            name: name.to_owned(),
            value,
            unit,
            bar,
            holds: bar.holds(value),
        });
    }

    /// Whether every bar holds.
    pub(crate) fn holds(&self) -> bool {
        self.measurements
            .iter()
            .all(|measurement| measurement.holds)
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["measurement", "value", "unit", "bar", ""]);
        for measurement in &self.measurements {
            let mark = match (measurement.bar, measurement.holds) {
                (Bar::None, _) => "",
                (_, true) => "✓",
                (_, false) => "✗",
            };
            table.add_row([
                measurement.name.clone(),
                format!("{:.2}", measurement.value),
                measurement.unit.to_owned(),
                measurement.bar.for_people(),
                mark.to_owned(),
            ]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }
}

/// Writes something as JSON.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_json(path: &Path, content: &impl Serialize) -> Result<()> {
    let write = || -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(path, serde_json::to_string_pretty(content)?)?)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_that_is_missed_is_seen() {
        let mut report = Report::default();
        report.add("writes after a restart", 1.0, "", Bar::AtMost(0.0));
        assert!(!report.holds() && report.table().contains('✗'));
    }

    #[test]
    fn a_bar_that_is_just_met_holds() {
        let mut report = Report::default();
        report.add("ratio", 0.7, "", Bar::AtLeast(0.7));
        assert!(report.holds());
    }
}
