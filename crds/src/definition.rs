//! The three CustomResourceDefinitions, as they are installed.
//!
//! They are derived from the Rust types; what the derivation leaves
//! un-Kubernetes-like is put right here.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{McpServer, Organization, PromptPolicy};

/// Where the definitions are committed, from the repository's root.
pub const DIRECTORY: &str = "charts/agentapi-crds/templates";

/// First lines of every generated file.
const HEADER: &str =
    "# Generated from crds/src by `cargo run -p agentapi-crds --bin generate-crds`. Do not edit.\n";

/// Why a definition cannot be produced.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// The derived definition is not what it is expected to be.
    #[error("a derived definition has an unexpected shape: {0}")]
    Shape(#[from] serde_json::Error),
    /// The definition cannot be written as YAML.
    #[error("a definition cannot be written as YAML: {0}")]
    Yaml(#[from] serde_yaml::Error),
}

/// The three definitions, as JSON.
pub fn all() -> Result<Vec<Value>, DefinitionError> {
    [Organization::crd(), McpServer::crd(), PromptPolicy::crd()]
        .into_iter()
        .map(finish)
        .collect()
}

/// File name and content of every definition, as committed under [`DIRECTORY`].
pub fn files() -> Result<Vec<(String, String)>, DefinitionError> {
    let file = |definition: Value| {
        let plural = definition["spec"]["names"]["plural"]
            .as_str()
            .unwrap_or_default();
        Ok((
            format!("{plural}.yaml"),
            format!(
                "{HEADER}{}",
                quote_booleans(&serde_yaml::to_string(&definition)?)
            ),
        ))
    };
    all()?.into_iter().map(file).collect()
}

/// The OpenAPI schema of a definition's only version.
pub fn schema(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

fn finish(derived: CustomResourceDefinition) -> Result<Value, DefinitionError> {
    let mut definition = serde_json::to_value(derived)?;
    definition["metadata"]["annotations"] = json!({"helm.sh/resource-policy": "keep"});
    tidy(&mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
    Ok(definition)
}

/// Makes a derived schema mean what the author of a manifest expects:
///
/// - `nullable` goes, so that `field: null` is `field` left out, as with
///   built-in resources, and never a third state that rules must think of;
/// - null defaults, which are no defaults, and integer formats that the API
///   server does not know (it warns of each) go;
/// - bounds of integers are written as integers, descriptions on one line.
fn tidy(schema: &mut Value) {
    let Some(node) = schema.as_object_mut() else {
        return;
    };
    node.remove("nullable");
    node.retain(|keyword, value| !(keyword == "default" && value.is_null()));
    if node
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| format.starts_with("uint"))
    {
        node.remove("format");
    }
    if node.contains_key("x-kubernetes-int-or-string") {
        node.remove("anyOf");
    }
    for keyword in ["minimum", "maximum"] {
        if let Some(bound) = node.get(keyword).and_then(whole_number) {
            node.insert(keyword.to_owned(), bound);
        }
    }
    if let Some(Value::String(description)) = node.get_mut("description") {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    if let Some(properties) = node.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(tidy);
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(child) = node.get_mut(keyword) {
            tidy(child);
        }
    }
}

/// The same number without a fraction, if it has none. Bounds are far below
/// 2^53, where the conversion is exact.
fn whole_number(value: &Value) -> Option<Value> {
    let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
    Some(Value::from(number as i64))
}

/// Quotes plain scalars that are strings in YAML 1.2 and booleans in YAML 1.1,
/// by which kubectl and Helm read (`Off` is one of ours).
fn quote_booleans(yaml: &str) -> String {
    const BOOLEANS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    let quote = |line: &str| {
        let start = line.rfind([':', '-']).map_or(0, |separator| separator + 1);
        let (key, value) = line.split_at(start);
        let scalar = value.trim_start();
        if value.starts_with(' ') && BOOLEANS.contains(&scalar.to_ascii_lowercase().as_str()) {
            format!("{key} '{scalar}'\n")
        } else {
            format!("{line}\n")
        }
    };
    yaml.lines().map(quote).collect()
}
