//! What the long proofs measured: a file for each in `.local/results/faults`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use serde::Deserialize;
use serde_json::Value;

use crate::progress::seconds;
use crate::workspace::Workspace;

/// One proof that held, with its figures.
#[derive(Debug, Deserialize)]
struct Proof {
    proof: String,
    seconds: f64,
    figures: BTreeMap<String, Value>,
}

/// An empty folder for results.
///
/// # Errors
/// When it cannot be made or emptied.
pub(super) fn empty(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.fault_results();
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// The proofs that held as a table. One that did not is not in it.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn table(workspace: &Workspace) -> Result<String> {
    let folder = workspace.fault_results();
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut proofs = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        let read = || -> Result<Proof> { Ok(serde_json::from_slice(&fs::read(&path)?)?) };
        proofs.push(read().with_context(|| format!("cannot read {}", path.display()))?);
    }
    proofs.sort_by(|one, other| one.proof.cmp(&other.proof));
    Ok(render(&proofs))
}

fn render(proofs: &[Proof]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["proof that held", "figures", "time"]);
    for proof in proofs {
        let figures: Vec<_> = proof
            .figures
            .iter()
            .map(|(name, value)| format!("{name}: {}", shown(value)))
            .collect();
        table.add_row([
            proof.proof.clone(),
            figures.join("\n"),
            seconds(std::time::Duration::from_secs_f64(proof.seconds)),
        ]);
    }
    table.to_string()
}

/// A figure as the table shows it; the whole of a list is in the proof's file.
fn shown(figure: &Value) -> String {
    match figure {
        Value::Array(items) => items.len().to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Proof, render};

    #[test]
    fn a_list_is_shown_by_its_length() {
        let text = r#"{"proof": "drift", "seconds": 1.5, "figures": {"held": ["a", "b"]}}"#;
        let shown = render(&[serde_json::from_str::<Proof>(text).unwrap()]);
        assert!(shown.contains("held: 2"), "{shown}");
    }

    #[test]
    fn a_proof_is_shown_with_its_figures() {
        let text = r#"{"proof": "crash", "seconds": 1.5, "figures": {"points": 40}}"#;
        let shown = render(&[serde_json::from_str::<Proof>(text).unwrap()]);
        assert!(shown.contains("points: 40"), "{shown}");
    }
}
