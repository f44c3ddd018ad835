//! The fields of a custom resource, enumerated from its schema, and values for them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Names of map entries whose values are quantities of resources.
const QUANTITY_KEY: &str = "cpu";
/// Names of all other map entries.
const MAP_KEY: &str = "one";

/// A step into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item,
}

/// A field that has no fields of its own: a scalar, a list or map of scalars.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    steps: Vec<Step>,
    /// Schemas on the way, the field's own last.
    schemas: Vec<Value>,
}

/// What the schema cannot say: see `e2e/fields/examples.yaml`.
#[derive(Debug, Deserialize)]
pub(crate) struct Examples {
    bases: BTreeMap<String, Value>,
    values: BTreeMap<String, [Value; 2]>,
}

impl Examples {
    /// The examples of a kind.
    pub(crate) fn of(kind: &str) -> Result<Self> {
        let text = include_str!("../../fields/examples.yaml");
        let mut all: BTreeMap<String, Self> = serde_yaml::from_str(text)?;
        all.remove(kind)
            .with_context(|| format!("e2e/fields/examples.yaml has no {kind}"))
    }

    fn base(&self, path: &str) -> Value {
        let prefixes = self.bases.iter().filter(|(prefix, _)| starts(path, prefix));
        let longest = prefixes.max_by_key(|(prefix, _)| prefix.len());
        longest.map_or_else(|| json!({}), |(_, base)| base.clone())
    }
}

/// Whether a path is a prefix of another, whole steps only.
fn starts(path: &str, prefix: &str) -> bool {
    prefix.is_empty()
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// All fields below a schema.
pub(crate) fn fields(schema: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    collect(
        schema,
        &mut Vec::new(),
        &mut vec![schema.clone()],
        &mut found,
    );
    found
}

fn collect(
    schema: &Value,
    steps: &mut Vec<Step>,
    schemas: &mut Vec<Value>,
    found: &mut Vec<Field>,
) {
    let inner: Vec<(Step, &Value)> = match (schema.get("properties"), schema.get("items")) {
        (Some(properties), _) => properties
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, schema)| (Step::Member(name.clone()), schema))
            .collect(),
        (None, Some(items)) if items.get("properties").is_some() => vec![(Step::Item, items)],
        _ => {
            found.push(Field {
                steps: steps.clone(),
                schemas: schemas.clone(),
            });
            return;
        }
    };
    for (step, schema) in inner {
        steps.push(step);
        schemas.push(schema.clone());
        collect(schema, steps, schemas, found);
        steps.pop();
        schemas.pop();
    }
}

impl Field {
    /// For example `network.egress[].cidr`.
    pub(crate) fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Item => path.push_str("[]"),
                Step::Member(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
            }
        }
        path
    }

    /// Whether a rule of the whole spec keeps the field as it was made.
    pub(crate) fn is_immutable(&self) -> bool {
        let rules = self
            .schemas
            .first()
            .map(|spec| &spec["x-kubernetes-validations"]);
        let rules = rules.and_then(Value::as_array).into_iter().flatten();
        let path = self.path();
        // CEL escapes words of its own (`namespace`) by underscores.
        let names = [format!("oldSelf.{path}"), format!("oldSelf.__{path}__")];
        rules
            .filter_map(|rule| rule["rule"].as_str())
            .any(|rule| names.iter().any(|name| rule.contains(name.as_str())))
    }

    /// Two different values.
    pub(crate) fn values(&self, examples: &Examples) -> Result<[Value; 2]> {
        if let Some(listed) = examples.values.get(&self.path()) {
            return Ok(listed.clone());
        }
        let schema = self.schemas.last().context("a field without a schema")?;
        values(schema).with_context(|| {
            format!(
                "{}: no value can be generated from its schema: list two in e2e/fields/examples.yaml",
                self.path()
            )
        })
    }

    /// A spec in which the field has a value, with the company it needs.
    pub(crate) fn spec_with(&self, value: &Value, examples: &Examples) -> Result<Value> {
        let mut spec = examples.base(&self.path());
        self.set(&mut spec, 0, value)?;
        Ok(spec)
    }

    fn set(&self, here: &mut Value, depth: usize, value: &Value) -> Result<()> {
        let Some(step) = self.steps.get(depth) else {
            *here = value.clone();
            return Ok(());
        };
        let next = match step {
            Step::Member(name) => {
                if !here.is_object() {
                    *here = json!({});
                }
                self.require(here, depth)?;
                &mut here[name]
            }
            Step::Item => {
                if !here.is_array() {
                    *here = json!([{}]);
                }
                &mut here[0]
            }
        };
        self.set(next, depth + 1, value)
    }

    /// Fills what the schema requires beside the field.
    fn require(&self, here: &mut Value, depth: usize) -> Result<()> {
        let schema = self.schemas.get(depth).context("a step without a schema")?;
        for name in schema["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if here.get(name).is_none() {
                here[name] = least(&schema["properties"][name])?;
            }
        }
        Ok(())
    }

    /// Specs without the field, the nearest first: without it alone, without
    /// what holds it, and so on.
    pub(crate) fn specs_without(&self, spec: &Value) -> Vec<Value> {
        (1..=self.steps.len())
            .rev()
            .filter(|depth| matches!(self.steps.get(depth - 1), Some(Step::Member(_))))
            .map(|depth| {
                let mut without = spec.clone();
                remove(&mut without, self.steps.get(..depth).unwrap_or_default());
                without
            })
            .collect()
    }
}

fn remove(here: &mut Value, steps: &[Step]) {
    match steps {
        [Step::Member(name)] => {
            if let Some(map) = here.as_object_mut() {
                map.remove(name);
            }
        }
        [Step::Member(name), rest @ ..] => {
            if let Some(next) = here.get_mut(name) {
                remove(next, rest);
            }
        }
        [Step::Item, rest @ ..] => {
            if let Some(next) = here.get_mut(0) {
                remove(next, rest);
            }
        }
        [] => {}
    }
}

/// The least value that a schema takes.
fn least(schema: &Value) -> Result<Value> {
    if schema.get("properties").is_none() {
        let generated = values(schema).context("a required field without a value")?;
        let [value, _] = generated;
        return Ok(value);
    }
    let mut object = Map::new();
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        object.insert(name.to_owned(), least(&schema["properties"][name])?);
    }
    Ok(Value::Object(object))
}

/// Two values of a schema, as far as types, ranges and known rules tell.
fn values(schema: &Value) -> Option<[Value; 2]> {
    if let Some(allowed) = schema["enum"].as_array() {
        return other_words(allowed, schema.get("default"));
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return Some([json!("1"), json!("2")]);
    }
    match schema["type"].as_str()? {
        "boolean" => {
            let default = schema["default"].as_bool().unwrap_or_default();
            Some([json!(!default), json!(default)])
        }
        "integer" => integers(schema),
        "string" => Some(texts(schema)),
        "array" => {
            let [one, two] = if schema["items"].get("properties").is_some() {
                let item = least(&schema["items"]).ok()?;
                [item.clone(), item]
            } else {
                values(&schema["items"])?
            };
            Some([json!([one]), json!([one, two])])
        }
        "object" => {
            let entry = schema.get("additionalProperties")?;
            let [one, two] = values(entry)?;
            let key = if entry["x-kubernetes-int-or-string"] == true {
                QUANTITY_KEY
            } else {
                MAP_KEY
            };
            Some([json!({key: one}), json!({key: two})])
        }
        _ => None,
    }
}

/// Two words, the default last.
fn other_words(allowed: &[Value], default: Option<&Value>) -> Option<[Value; 2]> {
    let mut words: Vec<&Value> = allowed
        .iter()
        .filter(|word| Some(*word) != default)
        .collect();
    words.extend(default);
    Some([(*words.first()?).clone(), (*words.get(1)?).clone()])
}

fn integers(schema: &Value) -> Option<[Value; 2]> {
    let least = schema["minimum"].as_f64().unwrap_or_default();
    let start = schema["default"].as_f64().unwrap_or(least);
    let most = schema["maximum"].as_f64().unwrap_or(f64::MAX);
    let (one, two) = if start + 2.0 <= most {
        (start + 1.0, start + 2.0)
    } else {
        (start - 1.0, start - 2.0)
    };
    // Bounds of the schemas are whole numbers far below 2^53.
    #[allow(clippy::cast_possible_truncation)]
    let whole = |number: f64| json!(number as i64);
    (two >= least).then(|| [whole(one), whole(two)])
}

/// Texts by the rule that the schema states; plain words where it states none.
fn texts(schema: &Value) -> [Value; 2] {
    let rules = schema["x-kubernetes-validations"].to_string();
    if rules.contains("isURL(self)") {
        [
            json!("https://one.example.com/a"),
            json!("https://two.example.com/b"),
        ]
    } else if rules.contains("duration(self)") {
        [json!("2s"), json!("3s")]
    } else if schema["pattern"] == "^/[^\\s?#]*$" {
        [json!("/one"), json!("/two")]
    } else if schema["pattern"] == "^[0-9]+(\\.[0-9]{1,6})?$" {
        [json!("1.5"), json!("2")]
    } else if schema["minLength"].as_u64().unwrap_or_default() > 3 {
        [json!("one-one-one"), json!("two-two-two")]
    } else {
        [json!("one"), json!("two")]
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
