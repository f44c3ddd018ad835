//! What the operator wrote, from the API server's audit log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The user whose writes count.
const OPERATOR: &str = "system:serviceaccount:agentapi-system:agentapi-operator";
const MUTATING: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// A moment in the audit log.
pub(super) struct Mark {
    log: PathBuf,
    offset: u64,
}

impl Mark {
    /// Now.
    pub(super) fn now(log: &Path) -> Result<Self> {
        let offset = std::fs::metadata(log)
            .with_context(|| format!("no audit log {}", log.display()))?
            .len();
        Ok(Self {
            log: log.to_path_buf(),
            offset,
        })
    }

    /// The operator's mutating calls since then, leases apart, by resource and verb.
    pub(super) fn writes(&self) -> Result<BTreeMap<String, usize>> {
        let mut file = File::open(&self.log)?;
        ensure!(
            file.metadata()?.len() >= self.offset,
            "the audit log was rotated within the measurement: measure fewer organizations"
        );
        file.seek(SeekFrom::Start(self.offset))?;
        let mut writes = BTreeMap::new();
        for line in BufReader::new(file).lines() {
            if let Some(write) = write(&line?) {
                *writes.entry(write).or_default() += 1;
            }
        }
        Ok(writes)
    }
}

/// What an event of the log wrote, if it is a write of the operator's.
fn write(line: &str) -> Option<String> {
    // Cheaper than to parse every event of everybody.
    if !line.contains(OPERATOR) {
        return None;
    }
    let event: Value = serde_json::from_str(line).ok()?;
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let verb = text("/verb")?;
    let resource = text("/objectRef/resource")?;
    let is_write = text("/user/username") == Some(OPERATOR)
        && text("/stage") == Some("ResponseComplete")
        && MUTATING.contains(&verb)
        && resource != "leases";
    let subresource = text("/objectRef/subresource").map(|name| format!("/{name}"));
    is_write.then(|| format!("{verb} {resource}{}", subresource.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(user: &str, verb: &str, resource: &str) -> String {
        format!(
            r#"{{"stage":"ResponseComplete","verb":"{verb}","user":{{"username":"{user}"}},"objectRef":{{"resource":"{resource}","subresource":"status"}}}}"#
        )
    }

    #[test]
    fn a_write_of_the_operator_is_counted() {
        let found = write(&event(OPERATOR, "patch", "mcpservers"));
        assert_eq!(found.as_deref(), Some("patch mcpservers/status"));
    }

    #[test]
    fn reads_leases_and_others_are_not_counted() {
        for (user, verb, resource) in [
            (OPERATOR, "list", "mcpservers"),
            (OPERATOR, "update", "leases"),
            ("admin", "patch", "mcpservers"),
        ] {
            assert_eq!(write(&event(user, verb, resource)), None);
        }
    }
}
