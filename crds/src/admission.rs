//! Validation without a cluster: what the API server with strict field
//! validation would say to a manifest.
//!
//! Used by the embedded mode, `agentapi render` and tests. The checks run over
//! the same definitions that are installed, in the API server's order: unknown
//! fields, nulls and defaults, metadata, schema, CEL rules. One difference
//! remains, on the strict side: on an update, what was already invalid before
//! is reported too (the API server ratchets).

mod error;
mod metadata;
mod resource;
mod structural;

pub use error::{AdmissionSetupError, FieldError};
pub use resource::Resource;

use kube::core::cel::{CompiledSchema, Validator, apply_defaults, compile_schema};
use serde_json::Value;

use crate::definition;
use structural::Node;

/// The three kinds, ready to check manifests against.
#[derive(Debug)]
pub struct Admission {
    kinds: Vec<Kind>,
}

/// One kind: its schema in the forms that the checks need.
#[derive(Debug)]
struct Kind {
    name: String,
    api_version: String,
    namespaced: bool,
    schema: Value,
    structure: Node,
    rules: CompiledSchema,
}

impl Admission {
    /// Prepares the three kinds. Fails only if the definitions of this build
    /// use what these checks do not know, which the tests exclude.
    pub fn new() -> Result<Self, AdmissionSetupError> {
        let kinds = definition::all()?
            .iter()
            .map(Kind::new)
            .collect::<Result<_, _>>()?;
        Ok(Self { kinds })
    }

    /// Whether a manifest is one of the three kinds, by `apiVersion` and `kind`.
    pub fn knows(&self, manifest: &Value) -> bool {
        self.kind(manifest).is_ok()
    }

    /// The manifest with defaults applied and without status, or everything
    /// that is wrong with it. With `old`, also whether it may replace `old`.
    pub fn admit(&self, manifest: &Value, old: Option<&Value>) -> Result<Value, Vec<FieldError>> {
        let kind = self.kind(manifest).map_err(|error| vec![error])?;
        refuse_any(kind.unknown_fields(manifest))?;
        let new = kind.normalize(manifest);
        let old = old.map(|old| kind.normalize(old));

        let mut errors = metadata::check(&new, old.as_ref());
        let findings = kind.structure.check(&new);
        let rules_apply = !findings.blocking;
        errors.extend(findings.errors);
        if rules_apply {
            errors.extend(kind.broken_rules(&new, old.as_ref()));
        }
        refuse_any(errors)?;
        Ok(new)
    }

    /// Like [`Self::admit`], with the result as its Rust type.
    pub fn admit_resource(
        &self,
        manifest: &Value,
        old: Option<&Value>,
    ) -> Result<Resource, Vec<FieldError>> {
        Resource::from_admitted(self.admit(manifest, old)?).map_err(|error| vec![error])
    }

    fn kind(&self, manifest: &Value) -> Result<&Kind, FieldError> {
        let text = |field: &str| {
            manifest
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (api_version, name) = (text("apiVersion"), text("kind"));
        let found = self.kinds.iter().find(|kind| kind.name == name);
        let known = || {
            self.kinds
                .iter()
                .map(|kind| kind.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        match found {
            Some(kind) if kind.api_version == api_version => Ok(kind),
            Some(kind) => Err(FieldError::new(
                "apiVersion",
                format!("{name} is of {}, not of `{api_version}`", kind.api_version),
            )),
            None => Err(FieldError::new(
                "kind",
                format!("unknown kind `{name}`: known are {}", known()),
            )),
        }
    }
}

impl Kind {
    fn new(definition: &Value) -> Result<Self, AdmissionSetupError> {
        let schema = definition::schema(definition).clone();
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = text(&spec["names"]["kind"]);
        let structure = Node::read(&schema).map_err(|source| AdmissionSetupError::Schema {
            kind: name.clone(),
            source,
        })?;
        let rules = compile_schema(&schema);
        if let Some(error) = rules.compilation_errors().first() {
            return Err(AdmissionSetupError::Rule {
                kind: name,
                message: error.to_string(),
            });
        }
        Ok(Self {
            api_version: format!(
                "{}/{}",
                text(&spec["group"]),
                text(&spec["versions"][0]["name"])
            ),
            namespaced: spec["scope"] == "Namespaced",
            name,
            schema,
            structure,
            rules,
        })
    }

    fn unknown_fields(&self, manifest: &Value) -> Vec<FieldError> {
        let mut errors = metadata::unknown_fields(manifest);
        errors.extend(self.structure.unknown_fields(manifest));
        errors
    }

    /// What is stored of a manifest: nulls, status and the namespace of a
    /// cluster-scoped kind dropped, defaults added.
    fn normalize(&self, manifest: &Value) -> Value {
        let mut stored = manifest.clone();
        if let Some(object) = stored.as_object_mut() {
            object.remove("status");
        }
        if !self.namespaced
            && let Some(metadata) = stored.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("namespace");
        }
        self.structure.drop_nulls(&mut stored);
        apply_defaults(&self.schema, &stored)
    }

    fn broken_rules(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let outcome = Validator::new().validate_compiled(&self.rules, new, old);
        let Err(errors) = outcome else {
            return Vec::new();
        };
        errors
            .into_iter()
            .map(|error| FieldError::new(error.field_path, error.message))
            .collect()
    }
}

fn refuse_any(errors: Vec<FieldError>) -> Result<(), Vec<FieldError>> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
