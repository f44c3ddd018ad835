//! A folder of manifests, checked as the API server would check them.
//!
//! All files are read and everything that is wrong is reported at once, with
//! file, document and field.

mod core_kinds;
mod document;
mod error;
mod secret;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use agentapi_crds::admission::{Admission, FieldError, Resource};
use agentapi_crds::names::{GROUP, VERSION};
use agentapi_operator::{Finding, Inputs, Secrets};
use uuid::Uuid;

use self::core_kinds::CoreKind;
use self::document::Document;
pub(crate) use self::error::{DocumentError, ManifestsError};
pub(crate) use self::secret::ManifestSecret;

/// What a folder holds.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    /// The resources as the operator's pure part takes them.
    pub(crate) inputs: Inputs,
    /// Secrets with their values.
    pub(crate) secrets: Vec<ManifestSecret>,
    origins: BTreeMap<Identity, Origin>,
}

/// What two documents must not have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    kind: String,
    namespace: String,
    name: String,
}

/// Where a document was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Path of the file.
    pub(crate) file: PathBuf,
    /// Position in the file, from 1.
    pub(crate) document: usize,
}

impl Manifests {
    /// Reads every `*.yaml`, `*.yml` and `*.json` of a folder, in order of their names.
    pub(crate) fn load(folder: &Path) -> Result<Self, ManifestsError> {
        let admission = Admission::new().map_err(|error| ManifestsError::Setup(Box::new(error)))?;
        let mut manifests = Self::default();
        let mut errors = Vec::new();
        for file in document::files(folder)? {
            for document in document::read(&file)? {
                let document = document.and_then(|document| manifests.take(document, &admission));
                errors.extend(document.err().into_iter().flatten());
            }
        }
        if !errors.is_empty() {
            return Err(ManifestsError::Invalid(errors));
        }
        let metadata = manifests
            .secrets
            .iter()
            .map(|secret| secret.metadata.clone());
        manifests.inputs.secrets = metadata.collect::<Secrets>();
        Ok(manifests)
    }

    /// Where the resource that a finding is about was read.
    pub(crate) fn origin(&self, finding: &Finding) -> Option<&Origin> {
        self.origins.get(&Identity {
            kind: finding.kind.to_owned(),
            namespace: finding.namespace.clone().unwrap_or_default(),
            name: finding.name.clone(),
        })
    }

    fn take(
        &mut self,
        document: Document,
        admission: &Admission,
    ) -> Result<(), Vec<DocumentError>> {
        let Document { origin, content } = document;
        let located = |errors: Vec<FieldError>| DocumentError::at(&origin, errors);
        let admitted = match CoreKind::of(&content) {
            Some(kind) => kind.admit(&content).map(Admitted::Core),
            None => admission.admit_resource(&content, None).map(Admitted::Own),
        };
        let admitted = admitted.map_err(located)?;
        let identity = Identity::of(&content);
        match self.origins.entry(identity) {
            Entry::Vacant(entry) => entry.insert(origin),
            Entry::Occupied(entry) => {
                let message = format!("{} is there already, in {}", entry.key(), entry.get());
                let error = FieldError {
                    path: "metadata.name".to_owned(),
                    message,
                };
                return Err(located(vec![error]));
            }
        };
        self.add(admitted);
        Ok(())
    }

    fn add(&mut self, admitted: Admitted) {
        match admitted {
            Admitted::Own(Resource::Organization(mut organization)) => {
                let name = organization.metadata.name.clone().unwrap_or_default();
                organization.metadata.uid.get_or_insert_with(|| uid(&name));
                self.inputs.organizations.push(*organization);
            }
            Admitted::Own(Resource::McpServer(server)) => self.inputs.servers.push(*server),
            Admitted::Own(Resource::PromptPolicy(policy)) => self.inputs.prompts.push(*policy),
            Admitted::Core(Some(secret)) => self.secrets.push(secret),
            Admitted::Core(None) => {}
        }
    }
}

/// An admitted document.
enum Admitted {
    /// One of the three kinds.
    Own(Resource),
    /// A Secret; nothing for a Namespace, which only a cluster has.
    Core(Option<ManifestSecret>),
}

impl Identity {
    fn of(content: &serde_json::Value) -> Self {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            kind: text(&content["kind"]),
            namespace: text(&content["metadata"]["namespace"]),
            name: text(&content["metadata"]["name"]),
        }
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kind,
            namespace,
            name,
        } = self;
        match namespace.as_str() {
            "" => write!(formatter, "{kind} {name}"),
            namespace => write!(formatter, "{kind} {namespace}/{name}"),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{}: document {}",
            self.file.display(),
            self.document
        )
    }
}

/// UID of an organization that no API server gave one: the same in every run,
/// so that stored data finds its organization again.
fn uid(organization: &str) -> String {
    let name = format!("{GROUP}/organization/{organization}");
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
}

/// `apiVersion` of the three kinds.
fn own_api_version() -> String {
    format!("{GROUP}/{VERSION}")
}

#[cfg(test)]
#[path = "manifests_tests.rs"]
mod tests;
