//! Kinds of Kubernetes itself that a folder may hold: Secret and Namespace.

use agentapi_crds::admission::FieldError;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::own_api_version;
use super::secret::ManifestSecret;

/// A kind of the core group.
pub(super) enum CoreKind {
    /// Holds credentials.
    Secret,
    /// Means something in a cluster only: an organization brings its own.
    Namespace,
    /// Any other kind that is not one of the three.
    Unknown,
}

impl CoreKind {
    /// The kind of a document, unless it is of AgentAPI's own group.
    pub(super) fn of(content: &Value) -> Option<Self> {
        let text = |field: &str| {
            content
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        match (text("apiVersion"), text("kind")) {
            ("v1", "Secret") => Some(Self::Secret),
            ("v1", "Namespace") => Some(Self::Namespace),
            (version, _) if version == own_api_version() => None,
            (_, "Organization" | "McpServer" | "PromptPolicy") => None,
            _ => Some(Self::Unknown),
        }
    }

    /// The Secret, nothing for a Namespace, or what is wrong.
    pub(super) fn admit(&self, content: &Value) -> Result<Option<ManifestSecret>, Vec<FieldError>> {
        match self {
            Self::Secret => {
                check_values(content)?;
                let secret: Secret = read(content)?;
                require(content, &["name", "namespace"])?;
                Ok(Some(ManifestSecret::from(secret)))
            }
            Self::Namespace => {
                read::<Namespace>(content)?;
                require(content, &["name"])?;
                Ok(None)
            }
            Self::Unknown => Err(vec![unknown(content)]),
        }
    }
}

/// Values of a Secret, each with its own key in the error; never quoted.
fn check_values(content: &Value) -> Result<(), Vec<FieldError>> {
    let wrong = |field: &'static str, accepts: fn(&str) -> bool, message: &'static str| {
        let values = content
            .get(field)
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        values
            .filter(move |(_, value)| !value.as_str().is_some_and(accepts))
            .map(move |(key, _)| error(format!("{field}.{key}"), message))
    };
    let errors: Vec<_> = wrong(
        "data",
        is_base64,
        "must be base64: plain text goes into stringData",
    )
    .chain(wrong(
        "stringData",
        |_| true,
        "must be text: put it in quotes",
    ))
    .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

fn is_base64(value: &str) -> bool {
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, value).is_ok()
}

/// Reads strictly: a field that the kind does not have is an error.
fn read<T: DeserializeOwned>(content: &Value) -> Result<T, Vec<FieldError>> {
    let mut unknown = Vec::new();
    let read = serde_ignored::deserialize(content, |path: serde_ignored::Path<'_>| {
        unknown.push(error(path.to_string(), "unknown field"));
    });
    match read {
        Ok(resource) if unknown.is_empty() => Ok(resource),
        Ok(_) => Err(unknown),
        Err(cause) => {
            unknown.push(error("", format!("is not as the kind wants it: {cause}")));
            Err(unknown)
        }
    }
}

fn require(content: &Value, fields: &[&str]) -> Result<(), Vec<FieldError>> {
    let given = |field: &str| {
        content["metadata"][field]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    };
    let missing: Vec<_> = fields
        .iter()
        .filter(|field| !given(field))
        .map(|field| error(format!("metadata.{field}"), "is required"))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(missing)
    }
}

fn unknown(content: &Value) -> FieldError {
    let known = "Organization, McpServer, PromptPolicy, Secret, Namespace";
    match content.get("kind").and_then(Value::as_str) {
        Some(kind) => error("kind", format!("unknown kind `{kind}`: known are {known}")),
        None => error("kind", format!("is required: one of {known}")),
    }
}

fn error(path: impl Into<String>, message: impl Into<String>) -> FieldError {
    FieldError {
        path: path.into(),
        message: message.into(),
    }
}
