//! A structural schema (Kubernetes' subset of OpenAPI 3) and what it says of a
//! value: unknown fields, nulls, types and bounds.
//!
//! Reading a schema fails on a keyword that is not checked here, so that no
//! definition can come to say more than these checks do.

mod check;

use std::collections::BTreeMap;

use regex::Regex;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};

use super::FieldError;

/// One node of a structural schema.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Node {
    #[serde(rename = "type")]
    value_type: Option<ValueType>,
    #[serde(rename = "x-kubernetes-int-or-string", default)]
    int_or_string: bool,
    #[serde(default)]
    properties: BTreeMap<String, Node>,
    additional_properties: Option<Box<Node>>,
    items: Option<Box<Node>>,
    #[serde(default)]
    required: Vec<String>,
    #[serde(rename = "enum")]
    one_of: Option<Vec<Value>>,
    pattern: Option<Pattern>,
    format: Option<Format>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    min_items: Option<usize>,
    max_items: Option<usize>,
    min_properties: Option<usize>,
    max_properties: Option<usize>,
    #[serde(rename = "x-kubernetes-list-type", default)]
    list_type: ListType,
    #[serde(rename = "x-kubernetes-list-map-keys", default)]
    list_map_keys: Vec<String>,
    // Read by other checks, or by people.
    #[serde(rename = "x-kubernetes-validations")]
    _rules: Option<de::IgnoredAny>,
    #[serde(rename = "default")]
    _default: Option<de::IgnoredAny>,
    #[serde(rename = "description")]
    _description: Option<de::IgnoredAny>,
    #[serde(rename = "title")]
    _title: Option<de::IgnoredAny>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ValueType {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ListType {
    #[default]
    Atomic,
    Set,
    Map,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Format {
    #[serde(rename = "int32")]
    Int32,
    #[serde(rename = "int64")]
    Int64,
    #[serde(rename = "date-time")]
    DateTime,
}

#[derive(Debug)]
struct Pattern(Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Regex::new(&text).map(Self).map_err(de::Error::custom)
    }
}

impl Node {
    /// Reads a schema; fails on a keyword that is not checked.
    pub(super) fn read(schema: &Value) -> Result<Self, serde_json::Error> {
        let mut schema = schema.clone();
        // Every object has these; definitions of custom resources leave them out.
        for (name, value_type) in [
            ("apiVersion", "string"),
            ("kind", "string"),
            ("metadata", "object"),
        ] {
            schema["properties"][name] = json!({"type": value_type});
        }
        serde_json::from_value(schema)
    }

    /// Fields that the schema does not know.
    pub(super) fn unknown_fields(&self, value: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        self.collect_unknown("", value, &mut errors);
        errors
    }

    fn collect_unknown(&self, path: &str, value: &Value, errors: &mut Vec<FieldError>) {
        for (child_path, child, node) in self.children(path, value) {
            match node {
                Some(node) => node.collect_unknown(&child_path, child, errors),
                None => errors.push(FieldError::new(child_path, "unknown field")),
            }
        }
    }

    /// Drops fields that are null: they mean the same as absent ones.
    pub(super) fn drop_nulls(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|_, field| !field.is_null());
                for (name, field) in fields {
                    if let Some(node) = self.property(name) {
                        node.drop_nulls(field);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(node) = &self.items {
                    items.iter_mut().for_each(|item| node.drop_nulls(item));
                }
            }
            _ => {}
        }
    }

    /// Every child of a value with its path, and its schema if there is one.
    /// What an opaque node holds is nobody's business.
    fn children<'a>(
        &'a self,
        path: &str,
        value: &'a Value,
    ) -> Vec<(String, &'a Value, Option<&'a Self>)> {
        match value {
            Value::Object(fields) if self.is_described() => fields
                .iter()
                .map(|(name, child)| (self.child_path(path, name), child, self.property(name)))
                .collect(),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| {
                    let node = self.items.as_deref()?;
                    Some((format!("{path}[{index}]"), item, Some(node)))
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    fn is_described(&self) -> bool {
        !self.properties.is_empty() || self.additional_properties.is_some()
    }

    fn property(&self, name: &str) -> Option<&Self> {
        self.properties
            .get(name)
            .or(self.additional_properties.as_deref())
    }

    fn child_path(&self, path: &str, name: &str) -> String {
        if !self.properties.contains_key(name) && self.additional_properties.is_some() {
            format!("{path}[{name}]")
        } else if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    }
}
