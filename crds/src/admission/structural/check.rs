//! Types and bounds of a value.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Format, ListType, Node, ValueType};
use crate::admission::FieldError;

/// What is wrong with a value by its schema.
#[derive(Debug, Default)]
pub(in crate::admission) struct Findings {
    /// Each finding, in the schema's order.
    pub(in crate::admission) errors: Vec<FieldError>,
    /// Whether a type, a required field or a length is wrong. CEL rules are
    /// then not evaluated, by the API server neither: they could not rely on
    /// what their cost and types were estimated by.
    pub(in crate::admission) blocking: bool,
}

impl Findings {
    fn add(&mut self, path: &str, message: String) {
        self.errors.push(FieldError::new(path, message));
    }

    fn block(&mut self, path: &str, message: String) {
        self.blocking = true;
        self.add(path, message);
    }
}

impl Node {
    /// Checks a value, already free of unknown fields and of nulls.
    pub(in crate::admission) fn check(&self, value: &Value) -> Findings {
        let mut findings = Findings::default();
        self.check_at("", value, &mut findings);
        findings
    }

    fn check_at(&self, path: &str, value: &Value, findings: &mut Findings) {
        if !self.accepts_type(value) {
            findings.block(
                path,
                format!("must be {}, not {}", self.type_name(), name_of(value)),
            );
            return;
        }
        self.check_enum(path, value, findings);
        match value {
            Value::String(text) => self.check_text(path, text, findings),
            Value::Number(number) => self.check_number(path, number, findings),
            Value::Array(items) => self.check_list(path, items, findings),
            Value::Object(fields) => self.check_object(path, fields, findings),
            Value::Bool(_) | Value::Null => {}
        }
        for (child_path, child, node) in self.children(path, value) {
            if let Some(node) = node {
                node.check_at(&child_path, child, findings);
            }
        }
    }

    fn accepts_type(&self, value: &Value) -> bool {
        if self.int_or_string {
            return value.is_string() || is_whole(value);
        }
        self.value_type.is_none_or(|value_type| match value_type {
            ValueType::Object => value.is_object(),
            ValueType::Array => value.is_array(),
            ValueType::String => value.is_string(),
            ValueType::Integer => is_whole(value),
            ValueType::Number => value.is_number(),
            ValueType::Boolean => value.is_boolean(),
        })
    }

    fn type_name(&self) -> &'static str {
        match self.value_type {
            Some(ValueType::Object) => "an object",
            Some(ValueType::Array) => "a list",
            Some(ValueType::String) => "a string",
            Some(ValueType::Integer) => "an integer",
            Some(ValueType::Number) => "a number",
            Some(ValueType::Boolean) => "true or false",
            None => "an integer or a string",
        }
    }

    fn check_enum(&self, path: &str, value: &Value, findings: &mut Findings) {
        let Some(allowed) = &self.one_of else { return };
        if !allowed.contains(value) {
            let allowed = allowed
                .iter()
                .map(Value::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            findings.add(path, format!("must be one of {allowed}, not {value}"));
        }
    }

    fn check_text(&self, path: &str, text: &str, findings: &mut Findings) {
        let length = text.chars().count();
        if let Some(least) = self.min_length.filter(|least| length < *least) {
            findings.add(path, format!("must be at least {least} characters long"));
        }
        if let Some(most) = self.max_length.filter(|most| length > *most) {
            findings.block(path, format!("must be at most {most} characters long"));
        }
        if let Some(pattern) = self
            .pattern
            .as_ref()
            .filter(|pattern| !pattern.0.is_match(text))
        {
            findings.add(path, format!("must match {}", pattern.0));
        }
        let date_time = self.format == Some(Format::DateTime);
        if date_time && text.parse::<k8s_openapi::jiff::Timestamp>().is_err() {
            findings.add(path, "must be a time by RFC 3339".to_owned());
        }
    }

    fn check_number(&self, path: &str, number: &serde_json::Number, findings: &mut Findings) {
        let Some(value) = number.as_f64() else { return };
        if let Some(least) = self.minimum.filter(|least| value < *least) {
            findings.add(path, format!("must be at least {least}"));
        }
        if let Some(most) = self.maximum.filter(|most| value > *most) {
            findings.add(path, format!("must be at most {most}"));
        }
        let whole = number.as_i64();
        let fits = match self.format {
            Some(Format::Int32) => whole.is_some_and(|whole| i32::try_from(whole).is_ok()),
            Some(Format::Int64) => whole.is_some(),
            Some(Format::DateTime) | None => true,
        };
        if !fits {
            findings.block(path, "is too large a number".to_owned());
        }
    }

    fn check_list(&self, path: &str, items: &[Value], findings: &mut Findings) {
        if let Some(least) = self.min_items.filter(|least| items.len() < *least) {
            findings.add(path, format!("must have at least {least} items"));
        }
        if let Some(most) = self.max_items.filter(|most| items.len() > *most) {
            findings.block(path, format!("must have at most {most} items"));
        }
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            if let Some(key) = self.item_key(item).filter(|key| !seen.insert(key.clone())) {
                findings.add(
                    &format!("{path}[{index}]"),
                    format!("is a duplicate: {key}"),
                );
            }
        }
    }

    /// What must be unique of an item of a set or of a list that is a map.
    fn item_key(&self, item: &Value) -> Option<String> {
        match self.list_type {
            ListType::Atomic => None,
            ListType::Set => Some(item.to_string()),
            ListType::Map => {
                let parts = self
                    .list_map_keys
                    .iter()
                    .map(|key| format!("{key} {}", item[key]));
                Some(parts.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn check_object(
        &self,
        path: &str,
        fields: &serde_json::Map<String, Value>,
        findings: &mut Findings,
    ) {
        for name in self
            .required
            .iter()
            .filter(|name| !fields.contains_key(*name))
        {
            findings.block(&self.child_path(path, name), "is required".to_owned());
        }
        if let Some(least) = self.min_properties.filter(|least| fields.len() < *least) {
            findings.add(path, format!("must have at least {least} entries"));
        }
        if let Some(most) = self.max_properties.filter(|most| fields.len() > *most) {
            findings.block(path, format!("must have at most {most} entries"));
        }
    }
}

/// JSON has one kind of number: 3.0 is an integer to the API server too.
fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
