//! Cases for the CEL rules, as data: each file holds base objects, and for
//! every rule changes to them that it accepts and rejects.
//!
//! The same files are run through [`crate::admission`] and through a real API
//! server, so that the two are known to agree.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::names;

/// One object that a rule accepts or rejects.
#[derive(Debug, Clone)]
pub struct RuleCase {
    /// Name of the case, unique in its file.
    pub name: String,
    /// Kind of the object.
    pub kind: String,
    /// Node of the schema that the rule is at, for example `spec.network.egress[]`.
    pub path: String,
    /// The rule's message, which with kind and path identifies it.
    pub rule: String,
    /// What is expected.
    pub verdict: Verdict,
    /// The object.
    pub object: Value,
    /// The object before the update, for rules on transitions.
    pub old: Option<Value>,
}

/// What a rule says of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The object is accepted, by all rules.
    Accept,
    /// The object is rejected, by this rule at least.
    Reject,
}

/// Why case files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RuleCasesError {
    /// The folder or a file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Folder or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not of the expected shape.
    #[error("{path} is not a case file: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_yaml::Error,
    },
    /// A case builds on an object that the file does not have.
    #[error("{path}: there is no base `{base}`")]
    NoBase {
        /// The file.
        path: PathBuf,
        /// Name of the base.
        base: String,
    },
    /// A pointer leads nowhere in the object it is applied to.
    #[error("{path}: {pointer} leads nowhere in its base")]
    Pointer {
        /// The file.
        path: PathBuf,
        /// JSON pointer (RFC 6901).
        pointer: String,
    },
}

/// A case file. Bases have metadata and spec; the rest is added.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kind: String,
    bases: BTreeMap<String, Value>,
    rules: Vec<Rule>,
}

/// The cases of one rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    path: String,
    rule: String,
    base: String,
    accept: BTreeMap<String, Change>,
    reject: BTreeMap<String, Change>,
}

/// An object as changes to the base, and the one it replaces likewise.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    set: Settings,
    old: Option<Settings>,
}

/// Values by JSON pointer (RFC 6901); null removes.
type Settings = BTreeMap<String, Value>;

/// Reads all cases of a folder's `*.yaml` files, in the order of their names.
pub fn load(folder: &Path) -> Result<Vec<RuleCase>, RuleCasesError> {
    let read_error = |path: &Path| {
        let path = path.to_owned();
        |source| RuleCasesError::Read { path, source }
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(read_error(folder))? {
        let path = entry.map_err(read_error(folder))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(read_error(&path))?;
        let file: File =
            serde_yaml::from_str(&text).map_err(|source| RuleCasesError::Malformed {
                path: path.clone(),
                source,
            })?;
        for rule in &file.rules {
            let base = file
                .bases
                .get(&rule.base)
                .ok_or_else(|| RuleCasesError::NoBase {
                    path: path.clone(),
                    base: rule.base.clone(),
                })?;
            let pointer = |pointer| RuleCasesError::Pointer {
                path: path.clone(),
                pointer,
            };
            cases.extend(rule.cases(&file.kind, base).map_err(pointer)?);
        }
    }
    Ok(cases)
}

impl Rule {
    /// The rule's cases, or the pointer that leads nowhere.
    fn cases(&self, kind: &str, base: &Value) -> Result<Vec<RuleCase>, String> {
        let case = |verdict: Verdict, name: &str, change: &Change| {
            Ok(RuleCase {
                name: format!("{kind} {}: {name}", self.path),
                kind: kind.to_owned(),
                path: self.path.clone(),
                rule: self.rule.clone(),
                verdict,
                object: object(kind, base, &change.set)?,
                old: change
                    .old
                    .as_ref()
                    .map(|old| object(kind, base, old))
                    .transpose()?,
            })
        };
        let accepted = self
            .accept
            .iter()
            .map(|(name, change)| case(Verdict::Accept, name, change));
        let rejected = self
            .reject
            .iter()
            .map(|(name, change)| case(Verdict::Reject, name, change));
        accepted.chain(rejected).collect()
    }
}

/// The base as an object of that kind with some values set.
fn object(kind: &str, base: &Value, settings: &Settings) -> Result<Value, String> {
    let mut object = base.clone();
    object["apiVersion"] = format!("{}/{}", names::GROUP, names::VERSION).into();
    object["kind"] = kind.into();
    for (pointer, value) in settings {
        let (parent, name) = pointer.rsplit_once('/').ok_or_else(|| pointer.clone())?;
        let fields = object.pointer_mut(parent).and_then(Value::as_object_mut);
        let fields = fields.ok_or_else(|| pointer.clone())?;
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.to_owned(), value.clone());
        }
    }
    Ok(object)
}
