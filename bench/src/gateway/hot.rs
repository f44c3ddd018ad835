//! What criterion measured of hot operations (`bench/benches`), with their bars.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::report::{Bar, Report};

/// Most nanoseconds of each operation that has a bar, by criterion's `group/function`.
const BARS: [(&str, f64); 5] = [
    ("identity/cached RS256 token of 1 KiB", 450.0),
    ("limits/local GCRA", 100.0),
    ("telemetry/metrics of a request", 1_000.0),
    ("telemetry/log line", 463.0),
    ("audit/request path", 3_000.0),
];

/// The part of criterion's `estimates.json` that is told.
#[derive(Debug, Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Debug, Deserialize)]
struct Estimate {
    /// In nanoseconds.
    point_estimate: f64,
}

/// The part of criterion's `benchmark.json` that names a measurement.
#[derive(Debug, Deserialize)]
struct Benchmark {
    title: String,
}

/// Reads what the last `cargo bench` left.
pub(super) fn read(folder: &Path, report: &mut Report) -> Result<()> {
    let mut measured = Vec::new();
    collect(folder, &mut measured)?;
    measured.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (title, _) in BARS {
        ensure!(
            measured.iter().any(|(name, _)| name == title),
            "{title} was not measured: run `cargo bench --package agentapi-bench`"
        );
    }
    for (title, nanoseconds) in measured {
        let bar = BARS.iter().find(|(name, _)| *name == title);
        let bar = bar.map_or(Bar::None, |(_, most)| Bar::AtMost(*most));
        report.add(&title, nanoseconds, "ns", bar);
    }
    Ok(())
}

/// Every folder `new` below `folder` holds one measurement.
fn collect(folder: &Path, measured: &mut Vec<(String, f64)>) -> Result<()> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("{} has no measurements", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.ends_with("new") {
            let benchmark: Benchmark = json(path.join("benchmark.json"))?;
            let estimates: Estimates = json(path.join("estimates.json"))?;
            measured.push((benchmark.title, estimates.median.point_estimate));
        } else if path.is_dir() {
            collect(&path, measured)?;
        }
    }
    Ok(())
}

fn json<T: for<'de> Deserialize<'de>>(path: PathBuf) -> Result<T> {
    let text = fs::read_to_string(&path);
    let read = text.map_err(anyhow::Error::from);
    read.and_then(|text| Ok(serde_json::from_str(&text)?))
        .with_context(|| format!("cannot read {}", path.display()))
}
