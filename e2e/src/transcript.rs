//! What was answered, without what differs from run to run.

use std::collections::HashMap;
use std::fmt::Write as _;

use anyhow::Result;
use regex::{Captures, Regex};

use crate::client::Answer;

/// Header fields that are part of the contract. Of the others, some differ by nature (`date`).
const HEADERS: [&str; 6] = [
    "allow",
    "content-type",
    "location",
    "mcp-protocol-version",
    "www-authenticate",
    "x-content-type-options",
];

/// The answers of a suite, in order, as text that two runs can be compared by.
pub struct Transcript {
    text: String,
    base: String,
    varying: Regex,
    seen: HashMap<String, usize>,
}

impl Transcript {
    /// An empty transcript of a service at `base`.
    pub fn new(base: &str) -> Result<Self> {
        Ok(Self {
            text: String::new(),
            base: base.to_owned(),
            varying: Regex::new(concat!(
                r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))",
                r"|(?P<uuid>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
                r"|(?P<hash>\b[0-9a-f]{32}(?:[0-9a-f]{32})?\b)",
                r"|(?P<loopback>127\.0\.0\.1:\d+)",
                // An installation may have kept records of earlier runs, and time is never the same.
                r#"|(?P<count>"(?:sequence|records|writers|checkpoints|latencyMilliseconds)": )[\d.]+"#,
                // Whether there is a checkpoint yet is a question of time.
                r#"|(?P<word>"anchor": )"[a-z]+""#,
            ))?,
            seen: HashMap::new(),
        })
    }

    /// Adds one answer under the name of its step.
    pub fn add(&mut self, step: &str, answer: &Answer) -> Result<()> {
        let mut entry = format!("## {step}\n\n{}\n", answer.status.as_u16());
        for name in HEADERS {
            if let Some(value) = answer.headers.get(name) {
                writeln!(entry, "{name}: {}", value.to_str()?)?;
            }
        }
        let body = answer.json()?;
        if !body.is_null() {
            writeln!(entry, "\n{}", serde_json::to_string_pretty(&body)?)?;
        }
        let entry = entry.replace(&self.base, "BASE");
        let normalised = self.normalised(&entry);
        writeln!(self.text, "{normalised}")?;
        Ok(())
    }

    /// The transcript so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Replaces what varies. Equal ids stay recognisably equal: they are numbered by first appearance.
    fn normalised(&mut self, entry: &str) -> String {
        let varying = self.varying.clone();
        let seen = &mut self.seen;
        let replaced = varying.replace_all(entry, |found: &Captures<'_>| {
            if found.name("time").is_some() {
                "TIME".to_owned()
            } else if let Some(member) = found.name("count") {
                format!("{}N", member.as_str())
            } else if let Some(member) = found.name("word") {
                format!("{}WORD", member.as_str())
            } else if found.name("loopback").is_some() {
                "127.0.0.1:PORT".to_owned()
            } else {
                let kind = if found.name("uuid").is_some() {
                    "UUID"
                } else {
                    "HASH"
                };
                let next = seen.len() + 1;
                let number = *seen.entry(found[0].to_owned()).or_insert(next);
                format!("{kind}-{number}")
            }
        });
        replaced.into_owned()
    }
}
