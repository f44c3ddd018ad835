//! Checks of `metadata`, which is the same for all kinds.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::FieldError;

/// Longest name of any object (DNS-1123 subdomain).
const MAX_NAME: usize = 253;
/// Longest name of a namespace (DNS-1123 label).
const MAX_LABEL: usize = 63;

/// Fields of the document's top and of its metadata that do not exist, and
/// metadata that is not of its type.
pub(super) fn unknown_fields(manifest: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let metadata = manifest.get("metadata").cloned().unwrap_or_default();
    if metadata.is_null() {
        return errors;
    }
    let mut unknown = |path: serde_ignored::Path<'_>| {
        errors.push(FieldError::new(format!("metadata.{path}"), "unknown field"));
    };
    let read: Result<ObjectMeta, _> = serde_ignored::deserialize(metadata, &mut unknown);
    if let Err(error) = read {
        errors.push(FieldError::new("metadata", error.to_string()));
    }
    errors
}

/// Name and namespace, and that an update keeps them.
pub(super) fn check(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    match text(new, "name") {
        None => errors.push(FieldError::new("metadata.name", "is required")),
        Some(name) if !is_subdomain(name) => errors.push(FieldError::new(
            "metadata.name",
            format!("`{name}` must be of lower case letters, digits, - and ., at most {MAX_NAME}"),
        )),
        Some(_) => {}
    }
    match text(new, "namespace") {
        Some(namespace) if !is_label(namespace) => errors.push(FieldError::new(
            "metadata.namespace",
            format!(
                "`{namespace}` must be of lower case letters, digits and -, at most {MAX_LABEL}"
            ),
        )),
        _ => {}
    }
    if let Some(old) = old {
        for field in ["name", "namespace"] {
            if text(new, field) != text(old, field) {
                errors.push(FieldError::new(format!("metadata.{field}"), "is immutable"));
            }
        }
    }
    errors
}

fn text<'a>(manifest: &'a Value, field: &str) -> Option<&'a str> {
    manifest["metadata"][field]
        .as_str()
        .filter(|text| !text.is_empty())
}

fn is_subdomain(name: &str) -> bool {
    name.len() <= MAX_NAME && name.split('.').all(is_label_of_any_length)
}

fn is_label(name: &str) -> bool {
    name.len() <= MAX_LABEL && is_label_of_any_length(name)
}

fn is_label_of_any_length(label: &str) -> bool {
    let edge = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = label.as_bytes();
    bytes.first().copied().is_some_and(edge)
        && bytes.last().copied().is_some_and(edge)
        && bytes.iter().all(|c| edge(*c) || *c == b'-')
}
