//! The rows of the table as they are written in `rows/*.yaml`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::denial::Denial;

/// Files of rows with the headings that they have in the report.
const TABLES: [(&str, &str); 3] = [
    (
        "The Multi-Tenancy Benchmarks",
        include_str!("rows/benchmarks.yaml"),
    ),
    (
        "Namespaces, and the platform as an instrument",
        include_str!("rows/namespaces.yaml"),
    ),
    (
        "Tricks within an admin's rights",
        include_str!("rows/tricks.yaml"),
    ),
];
const BASES: &str = include_str!("rows/bases.yaml");

/// One attack, who denies it, and what the same attacker may do instead.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) attack: String,
    #[serde(default, rename = "as")]
    pub(super) attacker: Attacker,
    call: String,
    base: Option<String>,
    #[serde(default)]
    set: BTreeMap<String, Value>,
    body: Option<Value>,
    pub(super) denied: Denial,
    permitted: Option<Counterpart>,
}

/// What succeeds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counterpart {
    call: String,
    base: Option<String>,
    #[serde(default)]
    set: BTreeMap<String, Value>,
    body: Option<Value>,
}

/// In whose name a row's requests are made.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Attacker {
    /// One of the organization's `admins`.
    #[default]
    Admin,
    /// One of the organization's `viewers`.
    Viewer,
    /// The service account of the organization's MCP servers.
    Workload,
    /// All rights of RBAC, but not in the break-glass group.
    OverPrivileged,
    /// The operator's own service account.
    Operator,
    /// The gateway's own service account.
    Gateway,
}

/// One request to the API server.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

/// A part of the table under its heading.
pub(super) struct Table {
    pub(super) heading: &'static str,
    pub(super) rows: Vec<Row>,
}

/// All rows.
pub(super) fn tables() -> Result<Vec<Table>> {
    TABLES
        .into_iter()
        .map(|(heading, text)| {
            let rows: Vec<Row> =
                serde_yaml::from_str(text).with_context(|| format!("the rows of {heading}"))?;
            Ok(Table { heading, rows })
        })
        .collect()
}

impl Row {
    /// The request that must be denied, its names filled in.
    pub(super) fn attack(&self, names: &BTreeMap<&str, String>) -> Result<Call> {
        call(
            &self.call,
            self.base.as_deref(),
            &self.set,
            self.body.as_ref(),
            names,
        )
    }

    /// The request that must succeed. A row that only sets something in a base
    /// needs no other counterpart than the base itself.
    pub(super) fn counterpart(&self, names: &BTreeMap<&str, String>) -> Result<Call> {
        match &self.permitted {
            Some(stated) => call(
                &stated.call,
                stated.base.as_deref(),
                &stated.set,
                stated.body.as_ref(),
                names,
            ),
            None => {
                ensure!(
                    self.base.is_some() && !self.set.is_empty(),
                    "the row `{}` has no permitted counterpart",
                    self.attack
                );
                call(
                    &self.call,
                    self.base.as_deref(),
                    &BTreeMap::new(),
                    None,
                    names,
                )
            }
        }
    }

    /// The request that is permitted as the report shows it, without what differs from run to run.
    pub(super) fn counterpart_for_people(&self) -> &str {
        match &self.permitted {
            Some(stated) => &stated.call,
            None => "the same without it",
        }
    }
}

fn call(
    line: &str,
    base: Option<&str>,
    set: &BTreeMap<String, Value>,
    body: Option<&Value>,
    names: &BTreeMap<&str, String>,
) -> Result<Call> {
    let (method, path) = line
        .split_once(' ')
        .with_context(|| format!("`{line}` is no METHOD and path"))?;
    let mut body = match (base, body) {
        (Some(base), None) => Some(base_object(base)?),
        (None, body) => body.cloned(),
        (Some(_), Some(_)) => bail!("`{line}` has both a base and a body"),
    };
    for (pointer, value) in set {
        let body = body
            .as_mut()
            .with_context(|| format!("`{line}` sets {pointer} in nothing"))?;
        set_at(body, pointer, value.clone())?;
    }
    Ok(Call {
        method: method.parse()?,
        path: filled(path, names)?,
        body: body.map(|body| filled_value(body, names)).transpose()?,
    })
}

fn base_object(name: &str) -> Result<Value> {
    let bases: Map<String, Value> = serde_yaml::from_str(BASES).context("rows/bases.yaml")?;
    bases
        .get(name)
        .cloned()
        .with_context(|| format!("there is no base {name} in rows/bases.yaml"))
}

/// Puts a value where a JSON pointer (RFC 6901) says; its parent is made where it is missing.
fn set_at(body: &mut Value, pointer: &str, value: Value) -> Result<()> {
    let (parent, key) = pointer
        .rsplit_once('/')
        .with_context(|| format!("`{pointer}` is no JSON pointer"))?;
    if body.pointer(parent).is_none() {
        set_at(body, parent, Value::Object(Map::new()))?;
    }
    match body.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.insert(key.to_owned(), value);
            Ok(())
        }
        Some(Value::Array(items)) => {
            let index: usize = key.parse()?;
            let item = items
                .get_mut(index)
                .with_context(|| format!("`{pointer}` is past the end of the list"))?;
            *item = value;
            Ok(())
        }
        _ => bail!("`{pointer}` is in no object or list"),
    }
}

fn filled_value(value: Value, names: &BTreeMap<&str, String>) -> Result<Value> {
    Ok(match value {
        Value::String(text) => Value::String(filled(&text, names)?),
        Value::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item| filled_value(item, names))
                .collect::<Result<_>>()?,
        ),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, field)| Ok((key, filled_value(field, names)?)))
                .collect::<Result<_>>()?,
        ),
        other => other,
    })
}

/// The text with every `{name}` replaced.
fn filled(text: &str, names: &BTreeMap<&str, String>) -> Result<String> {
    let filled = names.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), value)
    });
    ensure!(
        !filled.contains('{'),
        "`{filled}` holds a name that the stage does not know"
    );
    Ok(filled)
}
