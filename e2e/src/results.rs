//! Figures that a proof leaves behind for `cargo xtask test --faults`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// A proof under way.
pub struct Proof {
    name: &'static str,
    started: Instant,
    figures: Map<String, Value>,
}

impl Proof {
    /// Begins the clock.
    pub fn begin(name: &'static str) -> Self {
        Self {
            name,
            started: Instant::now(),
            figures: Map::new(),
        }
    }

    /// Notes a figure; its unit is in its name.
    pub fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }

    /// The proof held: writes its figures where `cargo xtask test --faults`
    /// looks for them, and prints them.
    pub fn held(self) -> Result<()> {
        let document = json!({
            "proof": self.name,
            "seconds": self.started.elapsed().as_secs_f64(),
            "figures": self.figures,
        });
        println!("{document:#}");
        if let Ok(folder) = std::env::var("AGENTAPI_TEST_RESULTS") {
            let path = PathBuf::from(folder).join(format!("{}.json", self.name));
            std::fs::write(&path, format!("{document:#}\n"))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}
